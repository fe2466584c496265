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
from rmatch.distributions import Distribution, Uniform, WrappedNormal
from rmatch.fields import FourierFeatures, TangentMLP, TimeFeatures, VectorField
from rmatch.manifolds import EmbeddedManifold, Euclidean, Manifold, Quadrature, Sphere, Torus
from rmatch.objectives import FlowMatching
from rmatch.paths import (
    ConditionalPath,
    Cosine,
    Coupling,
    FlowPath,
    GeodesicPath,
    Independent,
    Linear,
    OptimalTransport,
    PathSample,
    Polynomial,
    ProbabilityPath,
    Schedule,
)
from rmatch.solvers import RK4, DormandPrince, Euler, Midpoint, Solution, Solver
from rmatch.training import FitResult, fit

__version__ = "0.1.0"

__all__ = [
    "RK4",
    "CheckpointError",
    "ConditionalPath",
    "Cosine",
    "Coupling",
    "DataError",
    "DependencyError",
    "Distribution",
    "DormandPrince",
    "EmbeddedManifold",
    "Euclidean",
    "Euler",
    "FitResult",
    "FlowMatching",
    "FlowPath",
    "FourierFeatures",
    "GeodesicPath",
    "Independent",
    "InputError",
    "Linear",
    "Manifold",
    "Midpoint",
    "OptimalTransport",
    "OptionError",
    "OutputError",
    "PathSample",
    "PointError",
    "Polynomial",
    "ProbabilityPath",
    "Quadrature",
    "RmatchError",
    "Schedule",
    "ShapeError",
    "Solution",
    "Solver",
    "SolverError",
    "Sphere",
    "TangentError",
    "TangentMLP",
    "TimeFeatures",
    "Torus",
    "TrainingError",
    "Uniform",
    "VectorField",
    "WrappedNormal",
    "datasets",
    "fit",
]
