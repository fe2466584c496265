"""Manifolds: the metric, the volume, geodesics, calculus and integration."""

from rmatch.manifolds.base import Integral, Manifold, Quadrature
from rmatch.manifolds.chart import ChartManifold
from rmatch.manifolds.embedded import EmbeddedManifold
from rmatch.manifolds.euclidean import Euclidean, FlatManifold
from rmatch.manifolds.hyperbolic import HyperbolicSpace, lorentz_to_poincare, poincare_to_lorentz
from rmatch.manifolds.lorentz import Lorentz
from rmatch.manifolds.poincare import PoincareBall
from rmatch.manifolds.product import Product
from rmatch.manifolds.spd import SPD
from rmatch.manifolds.special_orthogonal import SpecialOrthogonal
from rmatch.manifolds.sphere import Sphere
from rmatch.manifolds.torus import Torus

__all__ = [
    "SPD",
    "ChartManifold",
    "EmbeddedManifold",
    "Euclidean",
    "FlatManifold",
    "HyperbolicSpace",
    "Integral",
    "Lorentz",
    "Manifold",
    "PoincareBall",
    "Product",
    "Quadrature",
    "SpecialOrthogonal",
    "Sphere",
    "Torus",
    "lorentz_to_poincare",
    "poincare_to_lorentz",
]
