"""Laws of the calculus: gradient, divergence, Laplacian and volume of one metric, at a point."""

from __future__ import annotations

import torch
from torch import Tensor

from rmatch._typing import ScalarFunction, TangentFunction
from rmatch.manifolds import Manifold
from rmatch.verify._derivatives import along, at_start, derivative, over_points, ray
from rmatch.verify._tolerances import norm, norm_of_normal_part, rounding
from rmatch.verify.base import Inputs, Residual, law
from rmatch.verify.draw import Draw
from rmatch.verify.functions import RandomField, bracket
from rmatch.verify.laws.metric import gram


def _function(draw: Draw) -> Inputs:
    x = draw.points()
    return {"x": x, "v": draw.tangents(x), "f": draw.function()}


def _function_and_field(draw: Draw) -> Inputs:
    return {"x": draw.points(), "f": draw.function(), "V": draw.field()}


def _two_functions(draw: Draw) -> Inputs:
    return {"x": draw.points(), "f": draw.function(), "h": draw.function()}


def _field(draw: Draw) -> Inputs:
    return {"x": draw.points(), "V": draw.field()}


@law(
    "gradient",
    "g(∇f, v) = d/dt f(exp_x tv) at t = 0",
    catches="a gradient without the inverse metric, or with a normal part",
    inputs=_function,
)
def gradient(M: Manifold, x: Tensor, v: Tensor, f: ScalarFunction) -> Residual:
    grad = M.gradient(f)(x)
    difference = (M.inner(x, grad, v) - along(M, f, x, v)).abs()
    normal = norm_of_normal_part(M, x, grad)
    size = 1 + norm(M, x, grad)
    return Residual(
        difference / (1 + norm(M, x, v)) + normal / (1 + grad.flatten(1).abs().amax(-1)), rounding(M, x) * size
    )


@law(
    "leibniz",
    "Div(f V) = f Div V + ⟨∇f, V⟩",
    catches="a gradient and a divergence of different metrics",
    inputs=_function_and_field,
)
def leibniz(M: Manifold, x: Tensor, f: ScalarFunction, V: TangentFunction) -> Residual:
    value = f(x)
    left = M.divergence(lambda z: over_points(M, f(z), V(z)))(x)
    first, second = value * M.divergence(V)(x), M.inner(x, M.gradient(f)(x), V(x))
    size = left.abs() + first.abs() + second.abs() + _size(M, x, f, V)
    return Residual((left - first - second).abs(), rounding(M, x) * size)


def _size(M: Manifold, x: Tensor, f: ScalarFunction, V: TangentFunction) -> Tensor:
    """How large the terms of `Div(fV)` are that may cancel: |f| times the covariant derivative of V, and |∇f| |V|."""
    rows = torch.stack([norm(M, x, derivative(V, x, e)) for e in M.frame(x).unbind(1)])
    return f(x).abs() * (rows.sum(0) + norm(M, x, V(x))) + norm(M, x, M.gradient(f)(x)) * norm(M, x, V(x))


def _one(x: Tensor) -> Tensor:
    return torch.ones(len(x), dtype=x.dtype)


@law(
    "divergence-along-geodesics",
    "Div V = Σ_i d/dt g(V(γ_i), γ_i') at t = 0,   γ_i(t) = exp_x(t e_i)",
    catches="a plain ambient trace, a wrong power or sign of the volume density, a basis that is not orthonormal",
    inputs=_field,
)
def divergence_along_geodesics(M: Manifold, x: Tensor, V: TangentFunction) -> Residual:
    """`exp` and `inner` alone define the right side: γ' is parallel along γ. The frame is a random one."""
    total, size = _zero(x), _zero(x)

    def component(t: Tensor, e: Tensor) -> Tensor:
        point, velocity = ray(M, x, e, t)
        return M.inner(point, V(point), velocity)

    for e in _random_frame(M, x).unbind(1):
        term = at_start(x, lambda t, e=e: component(t, e))
        total, size = total + term, size + term.abs()
    divergence = M.divergence(V)(x)
    size = size + divergence.abs() + _size(M, x, _one, V)
    return Residual((divergence - total).abs(), rounding(M, x) * M.dim * size)


def _zero(x: Tensor) -> Tensor:
    return torch.zeros(len(x), dtype=x.dtype)


def _random_frame(M: Manifold, x: Tensor) -> Tensor:
    """`frame(x)` turned by a random rotation."""
    generator = torch.Generator().manual_seed(0)
    q = torch.linalg.qr(torch.randn(M.dim, M.dim, generator=generator, dtype=x.dtype)).Q
    e = M.frame(x)
    return (q @ e.flatten(2)).reshape(e.shape)


@law(
    "divergence-off-the-manifold",
    "Div V does not depend on how V is continued off M",
    catches="derivatives taken across the manifold, as the ambient trace takes them",
    inputs=_field,
)
def divergence_extension(M: Manifold, x: Tensor, V: TangentFunction) -> Residual:
    """V against V ∘ project and against V plus an array times the coordinates' distance to the manifold."""
    array = torch.linspace(-1, 1, x[0].numel(), dtype=x.dtype).reshape(x.shape[1:])

    def bent(z: Tensor) -> Tensor:
        off = (z - M.project(z)).flatten(1).sum(-1)
        return V(z) + over_points(M, off, M.to_tangent(z, array.expand_as(z)))

    plain = M.divergence(V)(x)
    other, third = M.divergence(lambda z: V(M.project(z)))(x), M.divergence(bent)(x)
    size = plain.abs() + _size(M, x, _one, V) + norm(M, x, M.to_tangent(x, array.expand_as(x)))
    return Residual((plain - other).abs() + (plain - third).abs(), rounding(M, x) * M.dim * size)


@law(
    "value-and-divergence",
    "value_and_divergence(V) = (V, Div V), with and without gradients",
    catches="a fast path that computes something else",
    inputs=_field,
)
def value_and_divergence(M: Manifold, x: Tensor, V: TangentFunction) -> Residual:
    value, divergence = M.value_and_divergence(V)(x)
    plain = M.divergence(V)(x)
    with torch.no_grad():
        again = M.divergence(V)(x)
    off = (value - V(x)).flatten(1).abs().amax(-1) + (divergence - plain).abs() + (again - plain).abs()
    return Residual(off, rounding(M, x) * (1 + plain.abs() + _size(M, x, _one, V)))


@law(
    "divergence-of-the-bracket",
    "Div [X, Y] = X(Div Y) - Y(Div X)",
    catches="a divergence that belongs to no volume",
    inputs=lambda draw: {"x": draw.points(), "X": draw.generic_field(), "Y": draw.generic_field()},
    cases=2,
)
def divergence_of_bracket(M: Manifold, x: Tensor, X: RandomField, Y: RandomField) -> Residual:
    left = M.divergence(lambda z: bracket(X, Y, z))(x)
    first, second = derivative(M.divergence(Y), x, X(x)), derivative(M.divergence(X), x, Y(x))
    sizes = [_size(M, x, _one, V) for V in (X, Y)]
    size = left.abs() + first.abs() + second.abs() + sizes[0] * sizes[1]
    return Residual((left - first + second).abs(), 4 * rounding(M, x) * M.dim * size)


@law(
    "laplacian-along-geodesics",
    "Δf = Σ_i d²/dt² f(exp_x(t e_i)) at t = 0",
    catches="a Laplacian without its first-order part",
    inputs=_function,
)
def laplacian(M: Manifold, x: Tensor, v: Tensor, f: ScalarFunction) -> Residual:
    del v
    total, size = _zero(x), _zero(x)
    for e in _random_frame(M, x).unbind(1):

        def slope(t: Tensor, e: Tensor = e) -> Tensor:
            return derivative(lambda s: f(M.exp(x, over_points(M, s, e))), t, torch.ones_like(t))

        term = at_start(x, slope)
        total, size = total + term, size + term.abs()
    left = M.laplacian(f)(x)
    size = size + left.abs() + _size(M, x, _one, M.gradient(f))
    return Residual((left - total).abs(), rounding(M, x) * M.dim * size)


@law(
    "laplacian-of-a-product",
    "Δ(fh) = f Δh + h Δf + 2⟨∇f, ∇h⟩",
    catches="a Laplacian and a gradient of different metrics",
    inputs=_two_functions,
    cases=2,
)
def laplacian_of_product(M: Manifold, x: Tensor, f: ScalarFunction, h: ScalarFunction) -> Residual:
    terms = [
        M.laplacian(lambda z: f(z) * h(z))(x),
        -f(x) * M.laplacian(h)(x),
        -h(x) * M.laplacian(f)(x),
        -2 * M.inner(x, M.gradient(f)(x), M.gradient(h)(x)),
    ]
    size = sum((term.abs() for term in terms), _zero(x))
    size = size + _size(M, x, h, M.gradient(f)) + _size(M, x, f, M.gradient(h))
    return Residual(sum(terms, _zero(x)).abs(), rounding(M, x) * M.dim * size)


@law(
    "volume-form",
    "|dV(v_1, ..., v_n)| = √det g(v_i, v_j),   dV(e_1, ..., e_n) = ±1",
    catches="a volume in closed form that is not that of the metric",
    inputs=lambda draw: {"x": (x := draw.points()), "basis": _basis(draw, x)},
)
def volume_form(M: Manifold, x: Tensor, basis: Tensor) -> Residual:
    """A determinant is rounded relative to the lengths of its vectors, and its root by more the smaller it is."""
    wanted = torch.linalg.det(gram(M, x, basis)).abs().sqrt()
    lengths = norm(M, x[:, None], basis).prod(-1)
    unit = rounding(M, x) * M.dim
    of_frame = (M.volume_form(x, M.frame(x)).abs() - 1).abs()
    off = (M.volume_form(x, basis).abs() - wanted).abs() / lengths
    return Residual(off + of_frame, unit + unit / torch.maximum(wanted / lengths, unit.sqrt()))


def _basis(draw: Draw, x: Tensor) -> Tensor:
    return torch.stack([draw.tangents(x) for _ in range(draw.manifold.dim)], 1)


@law(
    "volume-density",
    "log ρ = ½ log det g(E_i, E_j)",
    catches="a volume density with the wrong sign or power",
    inputs=lambda draw: {"x": draw.points()},
)
def volume_density(M: Manifold, x: Tensor) -> Residual:
    """On the basis E of `coordinate_frame`, whose volume in the reference measure is 1."""
    products = gram(M, x, M.coordinate_frame(x))
    wanted = torch.linalg.slogdet(products).logabsdet / 2
    off = (M.log_volume_density(x) - wanted).abs()
    return Residual(off, rounding(M, x) * M.dim * (1 + wanted.abs()))


@law(
    "density-drift",
    "density_drift(x, v) = d/dt log ρ(exp_x tv) at t = 0",
    catches="a drift in closed form that forgets a factor",
    inputs=lambda draw: {"x": (x := draw.points()), "v": draw.tangents(x)},
)
def density_drift(M: Manifold, x: Tensor, v: Tensor) -> Residual:
    wanted = along(M, M.log_volume_density, x, v)
    drift = M.density_drift(x, v)
    drift = torch.zeros_like(wanted) if drift is None else drift
    return Residual((drift - wanted).abs(), rounding(M, x) * M.dim * (norm(M, x, v) + wanted.abs()))


@law(
    "hutchinson",
    "E[probe estimate of Div V] = Div V",
    catches="probes that do not have the identity as their covariance",
    inputs=lambda draw: {"x": draw.points()[:1], "V": draw.generic_field(), "probes": 4000},
    cases=2,
)
def hutchinson(M: Manifold, x: Tensor, V: TangentFunction, probes: int) -> Residual:
    """The mean of independent estimates lies within five standard errors."""
    many = x.expand(probes, *x.shape[1:]).clone()
    generator = torch.Generator().manual_seed(0)
    estimates = M.divergence(V, method="hutchinson", generator=generator)(many)
    exact = M.divergence(V)(x)
    error = estimates.std() / probes**0.5
    return Residual((estimates.mean() - exact).abs(), 5 * error + rounding(M, x) * _size(M, x, _one, V))


@law(
    "random-tangents",
    "E[g(Z, e_i) g(Z, e_j)] = δ_ij",
    catches="tangent vectors that are normal in the coordinates but not in the metric",
    inputs=lambda draw: {"x": draw.points()[:1], "draws": 8000},
    cases=2,
)
def random_tangents(M: Manifold, x: Tensor, draws: int) -> Residual:
    """Each entry of the sample covariance has a standard error of at most √(2 / draws)."""
    many = x.expand(draws, *x.shape[1:])
    z = M.random_tangent(many, generator=torch.Generator().manual_seed(0))
    coefficients = M.inner(many[:, None], z[:, None], M.frame(x).expand(draws, -1, *x.shape[1:]))
    covariance = coefficients.mT @ coefficients / draws
    off = (covariance - torch.eye(M.dim, dtype=x.dtype)).abs().amax()
    mean = coefficients.mean(0).abs().amax()
    return Residual(torch.maximum(off, mean), torch.full_like(off, 6 * (2 / draws) ** 0.5))


LAWS = (
    gradient,
    leibniz,
    divergence_along_geodesics,
    divergence_extension,
    value_and_divergence,
    divergence_of_bracket,
    laplacian,
    laplacian_of_product,
    volume_form,
    volume_density,
    density_drift,
    hutchinson,
    random_tangents,
)
