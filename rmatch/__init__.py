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
    from rmatch import datasets as datasets
    from rmatch import plotting as plotting
    from rmatch._errors import (
        CheckpointError as CheckpointError,
    )
    from rmatch._errors import (
        DataError as DataError,
    )
    from rmatch._errors import (
        DependencyError as DependencyError,
    )
    from rmatch._errors import (
        InputError as InputError,
    )
    from rmatch._errors import (
        OptionError as OptionError,
    )
    from rmatch._errors import (
        OutputError as OutputError,
    )
    from rmatch._errors import (
        PointError as PointError,
    )
    from rmatch._errors import (
        RmatchError as RmatchError,
    )
    from rmatch._errors import (
        ShapeError as ShapeError,
    )
    from rmatch._errors import (
        SolverError as SolverError,
    )
    from rmatch._errors import (
        TangentError as TangentError,
    )
    from rmatch._errors import (
        TrainingError as TrainingError,
    )
    from rmatch.distributions import (
        Distribution as Distribution,
    )
    from rmatch.distributions import (
        KernelDensity as KernelDensity,
    )
    from rmatch.distributions import (
        Uniform as Uniform,
    )
    from rmatch.distributions import (
        WrappedNormal as WrappedNormal,
    )
    from rmatch.fields import (
        FourierFeatures as FourierFeatures,
    )
    from rmatch.fields import (
        Harmonics as Harmonics,
    )
    from rmatch.fields import (
        TangentMLP as TangentMLP,
    )
    from rmatch.fields import (
        TimeFeatures as TimeFeatures,
    )
    from rmatch.fields import (
        VectorField as VectorField,
    )
    from rmatch.manifolds import (
        EmbeddedManifold as EmbeddedManifold,
    )
    from rmatch.manifolds import (
        Euclidean as Euclidean,
    )
    from rmatch.manifolds import (
        Integral as Integral,
    )
    from rmatch.manifolds import (
        Manifold as Manifold,
    )
    from rmatch.manifolds import (
        Quadrature as Quadrature,
    )
    from rmatch.manifolds import (
        Sphere as Sphere,
    )
    from rmatch.manifolds import (
        Torus as Torus,
    )
    from rmatch.objectives import (
        FlowMatching as FlowMatching,
    )
    from rmatch.paths import (
        ConditionalPath as ConditionalPath,
    )
    from rmatch.paths import (
        Cosine as Cosine,
    )
    from rmatch.paths import (
        Coupling as Coupling,
    )
    from rmatch.paths import (
        FlowPath as FlowPath,
    )
    from rmatch.paths import (
        GeodesicPath as GeodesicPath,
    )
    from rmatch.paths import (
        Independent as Independent,
    )
    from rmatch.paths import (
        Linear as Linear,
    )
    from rmatch.paths import (
        OptimalTransport as OptimalTransport,
    )
    from rmatch.paths import (
        PathSample as PathSample,
    )
    from rmatch.paths import (
        Polynomial as Polynomial,
    )
    from rmatch.paths import (
        ProbabilityPath as ProbabilityPath,
    )
    from rmatch.paths import (
        Schedule as Schedule,
    )
    from rmatch.paths import (
        posterior_velocity as posterior_velocity,
    )
    from rmatch.solvers import (
        RK4 as RK4,
    )
    from rmatch.solvers import (
        DormandPrince as DormandPrince,
    )
    from rmatch.solvers import (
        Euler as Euler,
    )
    from rmatch.solvers import (
        Midpoint as Midpoint,
    )
    from rmatch.solvers import (
        Solution as Solution,
    )
    from rmatch.solvers import (
        Solver as Solver,
    )
    from rmatch.training import (
        FitResult as FitResult,
    )
    from rmatch.training import (
        fit as fit,
    )

__version__ = "0.1.0"

_ROOMS: dict[str, tuple[str, ...]] = {
    "_errors": (
        "CheckpointError",
        "DataError",
        "DependencyError",
        "InputError",
        "OptionError",
        "OutputError",
        "PointError",
        "RmatchError",
        "ShapeError",
        "SolverError",
        "TangentError",
        "TrainingError",
    ),
    "distributions": (
        "Distribution",
        "KernelDensity",
        "Uniform",
        "WrappedNormal",
    ),
    "fields": (
        "Harmonics",
        "TangentMLP",
        "VectorField",
    ),
    "manifolds": (
        "EmbeddedManifold",
        "Euclidean",
        "Integral",
        "Manifold",
        "Quadrature",
        "Sphere",
        "Torus",
    ),
    "objectives": ("FlowMatching",),
    "paths": (
        "ConditionalPath",
        "Cosine",
        "Coupling",
        "FlowPath",
        "GeodesicPath",
        "Independent",
        "Linear",
        "OptimalTransport",
        "PathSample",
        "Polynomial",
        "ProbabilityPath",
        "Schedule",
        "posterior_velocity",
    ),
    "solvers": (
        "RK4",
        "DormandPrince",
        "Euler",
        "Midpoint",
        "Solution",
        "Solver",
    ),
    "training": (
        "FitResult",
        "fit",
    ),
}
_PACKAGES = (
    "datasets",
    "distributions",
    "fields",
    "manifolds",
    "objectives",
    "paths",
    "plotting",
    "solvers",
    "training",
)
_HOME = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name, or a room, when it is first used."""
    if name in _PACKAGES:
        return import_module(f"rmatch.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'rmatch' has no attribute {name!r}")
    value = getattr(import_module(f"rmatch.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Every public name."""
    return sorted({*__all__, *globals()})


__all__ = [  # pyright: ignore[reportUnsupportedDunderAll]
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
    "GeodesicPath",
    "Harmonics",
    "Independent",
    "InputError",
    "Integral",
    "KernelDensity",
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
    "Torus",
    "TrainingError",
    "Uniform",
    "VectorField",
    "WrappedNormal",
    "datasets",
    "fit",
    "plotting",
    "posterior_velocity",
]
