"""Riemannian geometry for generative modelling: manifolds, the flows on them, and the laws that tie both together.

Example:
    >>> import torch, rmatch as rm
    >>> M = rm.Sphere(2)
    >>> x = M.project(torch.tensor([1.0, 2.0, 2.0], dtype=torch.float64))
    >>> M.laplacian(lambda z: z[..., 2])(x) / x[2]  # a spherical harmonic of degree 1 has eigenvalue -2
    tensor(-2.0000, dtype=torch.float64)
"""

from __future__ import annotations

from rmatch import datasets
from rmatch._errors import (
    CheckpointError,
    DataError,
    DependencyError,
    InputError,
    OptionError,
    OutputError,
    PointError,
    RmatchError,
    ShapeError,
    SolverError,
    TangentError,
    TrainingError,
)
from rmatch.manifolds import EmbeddedManifold, Euclidean, Manifold, Quadrature, Sphere, Torus

__version__ = "0.1.0"

__all__ = [
    "CheckpointError",
    "DataError",
    "DependencyError",
    "EmbeddedManifold",
    "Euclidean",
    "InputError",
    "Manifold",
    "OptionError",
    "OutputError",
    "PointError",
    "Quadrature",
    "RmatchError",
    "ShapeError",
    "SolverError",
    "Sphere",
    "TangentError",
    "Torus",
    "TrainingError",
    "datasets",
]
