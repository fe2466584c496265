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
from rmatch.manifolds.spec import FAMILIES, ManifoldSpec, parse_manifold
from rmatch.manifolds.special_orthogonal import SpecialOrthogonal
from rmatch.manifolds.sphere import Sphere
from rmatch.manifolds.torus import Torus

__all__ = [
    "FAMILIES",
    "SPD",
    "ChartManifold",
    "EmbeddedManifold",
    "Euclidean",
    "FlatManifold",
    "HyperbolicSpace",
    "Integral",
    "Lorentz",
    "Manifold",
    "ManifoldSpec",
    "PoincareBall",
    "Product",
    "Quadrature",
    "SpecialOrthogonal",
    "Sphere",
    "Torus",
    "lorentz_to_poincare",
    "parse_manifold",
    "poincare_to_lorentz",
]
