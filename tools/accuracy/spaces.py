"""The geometries that are measured."""

import rmatch as rm
from tools.accuracy.compact import Rotations, Sphere, Torus
from tools.accuracy.definite import Definite
from tools.accuracy.hyperbolic import Hyperbolic
from tools.accuracy.space import Space

SPACES: list[Space] = [
    Sphere(),
    Torus(),
    Hyperbolic("Lorentz"),
    Hyperbolic("PoincareBall"),
    Definite(rm.SPD(3)),
    Definite(rm.SPD(3, "log-euclidean")),
    Rotations(),
]
