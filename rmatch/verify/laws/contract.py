"""Laws of the contract: shapes, types and transforms, the same for every method of a manifold."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from rmatch.manifolds import Manifold
from rmatch.verify._derivatives import derivative, over_points
from rmatch.verify._tolerances import norm, rounding
from rmatch.verify.base import Inputs, Residual, law
from rmatch.verify.draw import Draw

Method = Callable[[Tensor, Tensor, Tensor], Tensor]
"""A method as a function of two points x, y and a tangent vector v at x."""


def _inputs(draw: Draw) -> Inputs:
    """Pairs that are not near a cut locus, where nothing is continuous, and not equal, where distances have a kink."""
    x = draw.points()
    M = draw.manifold
    y = M.project(M.exp(x, draw.tangents(x, draw.step)))
    return {"x": x, "y": y, "v": draw.tangents(x)}


def methods(M: Manifold) -> Iterator[tuple[str, Method, tuple[int, ...]]]:
    """The methods with a closed form of their own: name, function, and the shape of the result after the batch."""
    point = M.point_shape
    features = tuple(M.features(M.origin(dtype=torch.float64)).shape)
    yield "inner", lambda x, y, v: M.inner(x, v, v), ()
    yield "norm", lambda x, y, v: M.norm(x, v), ()
    yield "exp", lambda x, y, v: M.exp(x, v), point
    yield "log", lambda x, y, v: M.log(x, y), point
    yield "dist", lambda x, y, v: M.dist(x, y), ()
    yield "project", lambda x, y, v: M.project(x), point
    yield "to_tangent", lambda x, y, v: M.to_tangent(x, v), point
    yield "transport", lambda x, y, v: M.transport(x, y, v), point
    yield "sharp", lambda x, y, v: M.sharp(x, v), point
    yield "geodesic", lambda x, y, v: M.geodesic(x, y, 0.3), point
    yield "geodesic_with_velocity", lambda x, y, v: M.geodesic_with_velocity(x, y, 0.3)[1], point
    yield "log_volume_density", lambda x, y, v: M.log_volume_density(x), ()
    yield "log_det_exp", lambda x, y, v: M.log_det_exp(x, v), ()
    yield "frame", lambda x, y, v: M.frame(x), (M.dim, *point)
    yield "features", lambda x, y, v: M.features(x), features


def _compare(M: Manifold, problem: Callable[[str, Method, tuple[int, ...]], str | None]) -> Residual:
    """The number of methods with a problem, and the text of the problems."""
    found = [text for name, method, shape in methods(M) if (text := problem(name, method, shape)) is not None]
    return Residual(torch.tensor(float(len(found))), torch.tensor(0.5), "; ".join(found) or None)


@law(
    "shapes-and-types",
    "(*batch, *point) → (*batch, *result), of the same type",
    catches="a result with one axis too many, a float32 that becomes a float64",
    inputs=_inputs,
    cases=1,
)
def shapes_and_types(M: Manifold, x: Tensor, y: Tensor, v: Tensor) -> Residual:
    """For a single point, no point, a row and a table of points, in both types."""

    def problem(name: str, method: Method, shape: tuple[int, ...]) -> str | None:
        for dtype in (torch.float32, torch.float64):
            for batch in ((), (0,), (3,), (2, 3)):
                count = torch.Size(batch).numel()
                arguments = [t[:count].reshape(*batch, *M.point_shape).to(dtype) for t in (x, y, v)]
                result = method(*arguments)
                if tuple(result.shape) != (*batch, *shape):
                    return f"{name} of a batch {batch} has shape {tuple(result.shape)}, not {(*batch, *shape)}"
                if result.dtype != dtype:
                    return f"{name} of {dtype} is {result.dtype}"
        return None

    x, y, v = (torch.cat([t, t]) if len(t) < 6 else t for t in (x, y, v))
    return _compare(M, problem)


@law(
    "rows-are-independent",
    "f(x_1, ..., x_N) = (f(x_1), ..., f(x_N)), and one x serves for many v",
    catches="a reduction over the batch, a branch taken for all rows at once, a base point that is not broadcast",
    inputs=_inputs,
    cases=2,
)
def rows_are_independent(M: Manifold, x: Tensor, y: Tensor, v: Tensor) -> Residual:
    """Also with points of every kind in one batch: equal ones beside ordinary ones."""
    y = torch.cat([x[: len(x) // 2], y[len(x) // 2 :]])

    def problem(name: str, method: Method, shape: tuple[int, ...]) -> str | None:
        del shape
        together = method(x, y, v)
        single = torch.stack([method(x[k], y[k], v[k]) for k in range(len(x))])
        if (text := _differ(M, name, x, y, together, single, "row by row")) is not None:
            return text
        vectors = M.to_tangent(x[:1], v)
        lengths = norm(M, x, v), norm(M, x[:1], vectors).clamp_min(torch.finfo(x.dtype).tiny)
        vectors = over_points(M, (lengths[0] / lengths[1]).clamp(max=1.0), vectors)  # far from x it may be a long one
        one = method(x[:1], y, vectors).expand_as(together)
        many = method(x[:1].expand_as(x), y, vectors)
        return _differ(M, name, x, y, one, many, "with one base point for all")

    return _compare(M, problem)


def _differ(M: Manifold, name: str, x: Tensor, y: Tensor, a: Tensor, b: Tensor, how: str) -> str | None:
    """A sentence where two results that should be the same are not, up to rounding."""
    allowed = float(rounding(M, x, y).amax()) * (1 + float(b.detach().abs().amax()))
    gap = float((a - b).detach().abs().amax())
    return None if gap <= allowed else f"{name} differs by {gap:.1e} {how}"


@law(
    "vmap",
    "vmap(f)(x) = f(x)",
    catches="Python that looks at values, in-place writes",
    inputs=_inputs,
    cases=1,
)
def vmap(M: Manifold, x: Tensor, y: Tensor, v: Tensor) -> Residual:
    def problem(name: str, method: Method, shape: tuple[int, ...]) -> str | None:
        del shape
        return _differ(M, name, x, y, torch.func.vmap(method)(x, y, v), method(x, y, v), "under vmap")

    return _compare(M, problem)


@law(
    "forward-and-reverse-derivatives",
    "w·(J u) = (Jᵀ w)·u",
    catches="a backward pass written by hand that is wrong, values that were detached in one direction",
    inputs=_inputs,
    cases=1,
)
def forward_and_reverse(M: Manifold, x: Tensor, y: Tensor, v: Tensor) -> Residual:
    generator = torch.Generator().manual_seed(0)

    def problem(name: str, method: Method, shape: tuple[int, ...]) -> str | None:
        del shape
        u = M.random_tangent(x, generator=generator)

        def f(t: Tensor) -> Tensor:
            return method(M.exp(x, _along(M, t, u)), y, v + _along(M, t, v))

        zero = x.new_zeros(len(x))
        forward = derivative(f, zero, torch.ones_like(zero))
        w = torch.randn(forward.shape, generator=generator, dtype=x.dtype)
        start = zero.clone().requires_grad_()
        with torch.enable_grad():
            value = f(start)
            (reverse,) = (
                torch.autograd.grad(value, start, w, materialize_grads=True) if value.requires_grad else (zero,)
            )
        paired = (w * forward).reshape(len(x), -1).sum(-1)
        scale = (w * forward).reshape(len(x), -1).abs().sum(-1)
        allowed = 4 * rounding(M, x, y) * (1 + scale + norm(M, x, v))
        gap = (paired - reverse).abs()
        return f"{name} differs by {float(gap.amax()):.1e}" if bool((gap > allowed).any()) else None

    return _compare(M, problem)


def _along(M: Manifold, t: Tensor, u: Tensor) -> Tensor:
    return t.reshape(-1, *(1 for _ in M.point_shape)) * u


@law(
    "single-precision",
    "|f(x in float32) - f(x in float64)| ≤ rounding of float32",
    catches="constants and thresholds that were chosen for float64",
    inputs=_inputs,
    cases=2,
)
def single_precision(M: Manifold, x: Tensor, y: Tensor, v: Tensor) -> Residual:
    """The inputs are numbers of float32 in both, so only the computation differs."""
    y = torch.cat([M.project(M.exp(x, 1e-3 * v))[: len(x) // 2], y[len(x) // 2 :]])
    single = tuple(t.to(torch.float32) for t in (x, y, v))
    double = tuple(t.to(torch.float64) for t in single)
    unit = float(rounding(M, *single[:2]).amax())

    def problem(name: str, method: Method, shape: tuple[int, ...]) -> str | None:
        del shape
        if name == "project":  # on a torus, 2π and 0 are the same angle
            return None
        exact, rounded = method(*double), method(*single)
        if not bool(rounded.isfinite().all()):
            return f"{name} is not finite in float32"
        gap, allowed = float((rounded - exact).abs().amax()), unit * (1 + float(exact.abs().amax()))
        return None if gap <= allowed else f"{name} differs by {gap:.1e}, more than {allowed:.1e}"

    return _compare(M, problem)


@law(
    "compile",
    "torch.compile(f)(x) = f(x), in one graph",
    catches="Python that the compiler cannot follow",
    inputs=_inputs,
    thorough=True,
    cases=1,
)
def compiled(M: Manifold, x: Tensor, y: Tensor, v: Tensor) -> Residual:
    """Traced in full by torch.compile, and run without generating code."""

    def problem(name: str, method: Method, shape: tuple[int, ...]) -> str | None:
        del shape
        if name == "log_det_exp":  # its default differentiates forward inside, which compilers do not follow
            return None
        fast = torch.compile(method, backend="eager", fullgraph=True)
        return _differ(M, name, x, y, fast(x, y, v), method(x, y, v), "when compiled")

    torch.compiler.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of torch about itself
        return _compare(M, problem)


LAWS = (
    shapes_and_types,
    rows_are_independent,
    vmap,
    forward_and_reverse,
    single_precision,
    compiled,
)
