"""Laws of integration: the volume, and the theorems that tie the divergence and the gradient to it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rmatch._typing import ScalarFunction, TangentFunction
from rmatch.manifolds import Manifold, Product
from rmatch.manifolds._quadrature import REPLICATES, sobol
from rmatch.verify._integrals import equals, integrals, vanishes
from rmatch.verify.base import Inputs, Need, Residual, law
from rmatch.verify.draw import Draw
from rmatch.verify.functions import Bell, Profile
from rmatch.verify.subject import EVERYWHERE, Subject

_STANDARD_ERRORS = 10.0
"""Of the mean over eight scramblings: Student's t with 7 degrees of freedom is beyond 10 with probability 2e-5."""


def _without_finite_volume(subject: Subject) -> str | None:
    return None if math.isfinite(subject.manifold.volume) else "the volume is infinite"


def _with_a_compact_factor(subject: Subject) -> str | None:
    M = subject.manifold
    factors = M.factors if isinstance(M, Product) else (M,)
    return "the volume is finite" if any(math.isfinite(factor.volume) for factor in factors) else None


def _without_few_dimensions(subject: Subject) -> str | None:
    return None if subject.manifold.dim <= 3 else "normal points miss most of a volume of more than 3 dimensions"


def _without_a_rule(subject: Subject) -> str | None:
    cls = type(subject.manifold)
    default = cls.quadrature is Manifold.quadrature and cls.from_cube is Manifold.from_cube
    return "its rule is the default one" if default else None


def _without_a_plane(subject: Subject) -> str | None:
    return None if 2 <= subject.manifold.dim <= 3 else "it is tried in 2 and 3 dimensions"


FINITE_VOLUME = Need("finite volume", _without_finite_volume)
OPEN = Need("infinite volume in every factor", _with_a_compact_factor)
FEW_DIMENSIONS = Need("at most 3 dimensions", _without_few_dimensions)
A_RULE = Need("a quadrature rule of its own", _without_a_rule)
A_PLANE = Need("2 or 3 dimensions", _without_a_plane)


def _profile(draw: Draw) -> Profile:
    """Entire functions, for which a spectral rule converges fast."""
    return "power" if draw.level % 2 else "wave"


def _function_and_field(draw: Draw) -> Inputs:
    return {"f": draw.function(_profile(draw)), **_field(draw)}


def _field(draw: Draw) -> Inputs:
    return {"V": draw.field("gradient" if draw.level % 3 == 1 else "generic", _profile(draw))}


def _two_functions(draw: Draw) -> Inputs:
    return {"f": draw.function(_profile(draw)), "h": draw.function(_profile(draw))}


@law(
    "volume-normalisation",
    "∫ 1 dV = vol(M)",
    catches="a volume, or weights of a quadrature rule, off by a factor",
    inputs=lambda draw: {},
    needs=(
        EVERYWHERE,
        FINITE_VOLUME,
    ),
    cases=1,
)
def volume_normalisation(M: Manifold) -> Residual:
    return equals(M, lambda x: torch.ones(len(x), 1, dtype=x.dtype), M.volume)


@law(
    "volume-in-normal-coordinates",
    "∫ exp(-d(x, c)²/2s²) / |det d exp_c| dV = (2πs²)^{n/2}",
    catches="weights of a quadrature rule, or a Jacobian of exp, of another metric",
    inputs=lambda draw: {"bell": draw.bell(of_distance=True)},
    needs=(
        EVERYWHERE,
        OPEN,
    ),
    cases=2,
)
def volume_in_normal_coordinates(M: Manifold, bell: Bell) -> Residual:
    def density(x: Tensor) -> Tensor:
        centre = bell.centre.expand_as(x)
        return (bell(x) * (-M.log_det_exp(centre, M.log(centre, x))).exp()).unsqueeze(-1)

    return equals(M, density, (2 * math.pi * bell.width**2) ** (M.dim / 2))


@law(
    "quadrature-in-normal-coordinates",
    "∫ f dV = ∫ f(exp_o v) |det d exp_v| dv over the vectors before the cut locus",
    catches="nodes or weights of another measure, such as dx for √det g dx",
    inputs=lambda draw: {"f": draw.function("wave")},
    needs=(
        EVERYWHERE,
        FEW_DIMENSIONS,
        A_RULE,
    ),
    cases=2,
)
def quadrature_in_normal_coordinates(M: Manifold, f: ScalarFunction) -> Residual:
    """The member's rule against one that needs `exp` alone."""

    def positive(x: Tensor) -> Tensor:
        return f(x).square().unsqueeze(-1)

    ours = integrals(M, positive)
    nodes, weights = Manifold.from_cube(M, sobol(M.dim, 60 if M.quadrature_is_exact(60) else 16))
    blocks = (positive(nodes)[:, 0] * weights).reshape(REPLICATES, -1).mean(-1)
    error = _STANDARD_ERRORS * blocks.std() / math.sqrt(REPLICATES) + ours.error[0] + 1e-12 * ours.size[0]
    return Residual((ours.value[0] - blocks.mean()).abs() / ours.size[0], error / ours.size[0])


@law(
    "divergence-theorem",
    "∫ Div V dV = 0",
    catches="a divergence that does not belong to the volume",
    inputs=_field,
    cases=2,
    needs=(EVERYWHERE,),
)
def divergence_theorem(M: Manifold, V: TangentFunction) -> Residual:
    """In units of ∫ |Div V| + |V|."""

    def terms(x: Tensor) -> Tensor:
        value, divergence = M.value_and_divergence(V)(x)
        length = M.norm(x, value)
        return torch.stack([divergence, length, -length], -1)

    return vanishes(M, terms)


@law(
    "integration-by-parts",
    "∫ f Div V dV = -∫ ⟨∇f, V⟩ dV",
    catches="a gradient, a divergence and a volume that do not fit together",
    inputs=_function_and_field,
    needs=(EVERYWHERE,),
)
def integration_by_parts(M: Manifold, f: ScalarFunction, V: TangentFunction) -> Residual:
    def terms(x: Tensor) -> Tensor:
        value, divergence = M.value_and_divergence(V)(x)
        return torch.stack([f(x) * divergence, M.inner(x, M.gradient(f)(x), value)], -1)

    return vanishes(M, terms)


@law(
    "green",
    "∫ f Δh dV = -∫ ⟨∇f, ∇h⟩ dV",
    catches="a Laplacian that is not symmetric",
    inputs=_two_functions,
    cases=2,
    needs=(EVERYWHERE,),
)
def green(M: Manifold, f: ScalarFunction, h: ScalarFunction) -> Residual:
    def terms(x: Tensor) -> Tensor:
        slope, laplacian = M.value_and_divergence(M.gradient(h))(x)
        return torch.stack([f(x) * laplacian, M.inner(x, M.gradient(f)(x), slope)], -1)

    return vanishes(M, terms)


@law(
    "solenoidal-fields",
    "∫ ⟨∇f, V⟩ dV = 0 for V = Div(X) Y - Div(Y) X + [X, Y], and Div V = 0",
    catches="a divergence whose own derivative is wrong",
    inputs=lambda draw: {"f": draw.function("wave"), "V": draw.field("solenoidal", "wave")},
    needs=(
        EVERYWHERE,
        A_PLANE,
    ),
    cases=1,
)
def solenoidal_fields(M: Manifold, f: ScalarFunction, V: TangentFunction) -> Residual:
    def terms(x: Tensor) -> Tensor:
        value = V(x)
        slope = M.gradient(f)(x)
        size = M.norm(x, slope) * M.norm(x, value)
        return torch.stack([M.inner(x, slope, value), size, -size], -1)

    return vanishes(M, terms)


LAWS = (
    volume_normalisation,
    volume_in_normal_coordinates,
    quadrature_in_normal_coordinates,
    divergence_theorem,
    integration_by_parts,
    green,
    solenoidal_fields,
)
