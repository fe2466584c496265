"""Riemannian geometry for generative modelling: manifolds, the flows on them, and the laws that tie both together.

This file only re-exports. A name is imported from its room when it is first used, so that `import rmatch` and
`rmatch --help` do not wait for torch.

Example:
    >>> import torch, rmatch as rm
    >>> M = rm.Sphere(2)
    >>> x = M.project(torch.tensor([1.0, 2.0, 2.0], dtype=torch.float64))
    >>> M.laplacian(lambda z: z[..., 2])(x) / x[2]  # a spherical harmonic of degree 1 has eigenvalue -2
    tensor(-2.0000, dtype=torch.float64)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rmatch import datasets, interop, plotting, testing, verify
    from rmatch._errors import (
        CheckpointError,
        DataError,
        DependencyError,
        InputError,
        LawError,
        OptionError,
        OutputError,
        PointError,
        RmatchError,
        ShapeError,
        SolverError,
        TangentError,
        TrainingError,
    )
    from rmatch.distributions import (
        Distribution,
        HeatKernel,
        KernelDensity,
        Mixture,
        Uniform,
        VonMisesFisher,
        WrappedNormal,
        default_base,
    )
    from rmatch.fields import (
        Harmonics,
        TangentMLP,
        VectorField,
    )
    from rmatch.manifolds import (
        SPD,
        ChartManifold,
        EmbeddedManifold,
        Euclidean,
        HyperbolicSpace,
        Integral,
        Lorentz,
        Manifold,
        PoincareBall,
        Product,
        Quadrature,
        SpecialOrthogonal,
        Sphere,
        Torus,
        lorentz_to_poincare,
        poincare_to_lorentz,
    )
    from rmatch.objectives import (
        Density,
        FlowMatching,
        Matching,
        MaximumLikelihood,
        Pairing,
        PairingErrors,
        ReverseKL,
        ScoreMatching,
        effective_sample_size,
        entropy,
        kl,
        pairing,
    )
    from rmatch.paths import (
        BiharmonicDistance,
        ConditionalPath,
        Cosine,
        Coupling,
        Diffusion,
        DiffusionBridge,
        DiffusionDistance,
        EmpiricalPath,
        FlowPath,
        GeodesicDistance,
        GeodesicPath,
        HeatPath,
        Independent,
        Linear,
        NoisedSample,
        OptimalTransport,
        PairPath,
        PathSample,
        Polynomial,
        Premetric,
        PremetricPath,
        ProbabilityFlow,
        ProbabilityPath,
        Schedule,
        ScoreModel,
        SpectralDistance,
        StochasticInterpolant,
        posterior_velocity,
    )
    from rmatch.solvers import (
        RK4,
        DormandPrince,
        Euler,
        GeodesicRandomWalk,
        Midpoint,
        Solution,
        Solver,
    )
    from rmatch.training import (
        FitResult,
        fit,
    )
    from rmatch.verify import (
        check_distribution,
        check_manifold,
        check_paths,
    )

__version__ = "0.1.0"

__all__ = [
    "RK4",
    "SPD",
    "BiharmonicDistance",
    "ChartManifold",
    "CheckpointError",
    "ConditionalPath",
    "Cosine",
    "Coupling",
    "DataError",
    "Density",
    "DependencyError",
    "Diffusion",
    "DiffusionBridge",
    "DiffusionDistance",
    "Distribution",
    "DormandPrince",
    "EmbeddedManifold",
    "EmpiricalPath",
    "Euclidean",
    "Euler",
    "FitResult",
    "FlowMatching",
    "FlowPath",
    "GeodesicDistance",
    "GeodesicPath",
    "GeodesicRandomWalk",
    "Harmonics",
    "HeatKernel",
    "HeatPath",
    "HyperbolicSpace",
    "Independent",
    "InputError",
    "Integral",
    "KernelDensity",
    "LawError",
    "Linear",
    "Lorentz",
    "Manifold",
    "Matching",
    "MaximumLikelihood",
    "Midpoint",
    "Mixture",
    "NoisedSample",
    "OptimalTransport",
    "OptionError",
    "OutputError",
    "PairPath",
    "Pairing",
    "PairingErrors",
    "PathSample",
    "PoincareBall",
    "PointError",
    "Polynomial",
    "Premetric",
    "PremetricPath",
    "ProbabilityFlow",
    "ProbabilityPath",
    "Product",
    "Quadrature",
    "ReverseKL",
    "RmatchError",
    "Schedule",
    "ScoreMatching",
    "ScoreModel",
    "ShapeError",
    "Solution",
    "Solver",
    "SolverError",
    "SpecialOrthogonal",
    "SpectralDistance",
    "Sphere",
    "StochasticInterpolant",
    "TangentError",
    "TangentMLP",
    "Torus",
    "TrainingError",
    "Uniform",
    "VectorField",
    "VonMisesFisher",
    "WrappedNormal",
    "check_distribution",
    "check_manifold",
    "check_paths",
    "datasets",
    "default_base",
    "effective_sample_size",
    "entropy",
    "fit",
    "interop",
    "kl",
    "lorentz_to_poincare",
    "pairing",
    "plotting",
    "poincare_to_lorentz",
    "posterior_velocity",
    "testing",
    "verify",
]

# Where a name is looked for, in this order: the first rooms are the lightest.
_ROOMS = ("_errors", "manifolds", "distributions", "fields", "solvers", "paths", "objectives", "training", "verify")
_PACKAGES = (*_ROOMS[1:], "datasets", "interop", "plotting", "testing")


def __getattr__(name: str) -> object:
    """Import a public name, or a room, when it is first used."""
    if name in _PACKAGES:
        return import_module(f"rmatch.{name}")
    if name in __all__:
        for room in _ROOMS:
            module = import_module(f"rmatch.{room}")
            if hasattr(module, name):
                globals()[name] = getattr(module, name)
                return globals()[name]
    raise AttributeError(f"module 'rmatch' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Every public name."""
    return sorted({*__all__, *globals()})
