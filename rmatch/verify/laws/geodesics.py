"""Laws of geodesics: what `exp`, `log`, `dist` and `geodesic` are to each other and to the metric."""

from __future__ import annotations

import torch
from torch import Tensor

from rmatch.manifolds import Manifold
from rmatch.verify._derivatives import derivative, images_of_the_frame, over_points, ray, value_and_derivative
from rmatch.verify._tolerances import gap, norm, norm_of_normal_part, rounding
from rmatch.verify.base import Inputs, Residual, law
from rmatch.verify.draw import Draw


def _pairs_and_cut(draw: Draw) -> Inputs:
    x, y = draw.pairs(cut=True)
    return {"x": x, "y": y}


def _steps(draw: Draw) -> Inputs:
    """Vectors well inside the cut locus: parts of the logarithms of random pairs."""
    x, y = draw.pairs()
    part = 0.1 + 0.8 * torch.rand(len(x), generator=draw.generator, dtype=x.dtype)
    return {"x": x, "v": over_points(draw.manifold, part, draw.manifold.log(x, y))}


def _long_walks(draw: Draw) -> Inputs:
    """Vectors that reach beyond the cut locus, where there is one."""
    x = draw.points()
    length = draw.step if draw.subject.is_local else 3 * draw.reach * draw.manifold.dim**0.5
    return {"x": x, "v": draw.tangents(x, length)}


def _walks(draw: Draw) -> Inputs:
    x = draw.points()
    v = draw.tangents(x, draw.step)
    return {"x": x, "v": v, "w": draw.tangents(x)}


@law(
    "points-and-vectors-stay",
    "exp_x v ∈ M,   log_x y ∈ T_xM,   π(π(a)) = π(a)",
    catches="points that drift off the manifold, vectors with a normal part, a projection to something else",
    inputs=_pairs_and_cut,
)
def stays(M: Manifold, x: Tensor, y: Tensor) -> Residual:
    v = M.log(x, y)
    there = M.exp(x, v)
    points = torch.stack([there, M.geodesic(x, y, 0.5), M.project(x)])
    off = (M.project(points) - points).flatten(2).abs().amax(-1)
    off = torch.minimum(off, norm(M, points, M.log(points, M.project(points)))).amax(0)  # where angles wrap around
    normal = norm_of_normal_part(M, x, v)
    problem = M.check_point(there) or M.check_tangent(x, v) or M.check_point(_a_hair_away(M, x))
    refused = torch.full_like(off, float(problem is not None))
    return Residual(off + normal + refused, rounding(M, x, y) * (1 + norm(M, x, v)))


def _a_hair_away(M: Manifold, x: Tensor) -> Tensor:
    """Points so close to the origin, on both sides, that the next float is farther: -1e-20 modulo 2π rounds to 2π."""
    origin = M.origin(dtype=x.dtype)
    v = 1e-20 * M.frame(origin).sum(0)
    return M.exp(origin, torch.stack([v, -v]))


@law(
    "exp-undoes-log",
    "exp_x(log_x y) = y",
    catches="a logarithm of the wrong length or direction, far, close, and at the cut locus",
    inputs=_pairs_and_cut,
)
def exp_undoes_log(M: Manifold, x: Tensor, y: Tensor) -> Residual:
    v = M.log(x, y)
    return Residual(gap(M, y, M.exp(x, v)), rounding(M, x, y) * _stretching(M, x, v))


@law(
    "log-undoes-exp",
    "log_x(exp_x v) = v before the cut locus",
    catches="a logarithm that is clamped, or that takes the longer way",
    inputs=_steps,
)
def log_undoes_exp(M: Manifold, x: Tensor, v: Tensor) -> Residual:
    difference = M.log(x, M.exp(x, v)) - v
    return Residual(norm(M, x, difference), rounding(M, x, M.exp(x, v)) * (1 + _stretching(M, x, v)))


def _stretching(M: Manifold, x: Tensor, v: Tensor) -> Tensor:
    """How much `exp` or its inverse may magnify an error of `v`: the greater of the norms of the two derivatives."""
    y = M.exp(x, v)
    there = y[:, None, None]
    matrix = M.inner(there, M.frame(y)[:, :, None], images_of_the_frame(M, x, v)[:, None, :])
    values = torch.linalg.svdvals(matrix.detach())
    tiny = torch.finfo(x.dtype).eps
    return torch.maximum(values.amax(-1), 1 / values.amin(-1).clamp_min(tiny)).clamp(max=1e6) * (1 + norm(M, x, v))


@law(
    "distance-is-length",
    "d(x, y) = |log_x y|",
    catches="a distance or a logarithm that is clamped, and a metric of the wrong scale",
    inputs=_pairs_and_cut,
)
def distance_is_length(M: Manifold, x: Tensor, y: Tensor) -> Residual:
    length = norm(M, x, M.log(x, y))
    return Residual((M.dist(x, y) - length).abs(), rounding(M, x, y) * (1 + length))


@law(
    "logarithm-is-shortest",
    "|log_x(exp_x v)| ≤ |v|",
    catches="a logarithm that does not know that the manifold closes up",
    inputs=_long_walks,
)
def shortest(M: Manifold, x: Tensor, v: Tensor) -> Residual:
    y, length = M.exp(x, v), norm(M, x, v)
    excess = (norm(M, x, M.log(x, y)) - length).clamp_min(0.0)
    return Residual(excess, rounding(M, x, y) * (1 + length))


@law(
    "distance-symmetric",
    "d(x, y) = d(y, x)",
    catches="a distance that measures at one end only",
    inputs=_pairs_and_cut,
)
def distance_symmetric(M: Manifold, x: Tensor, y: Tensor) -> Residual:
    d = M.dist(x, y)
    return Residual((d - M.dist(y, x)).abs(), rounding(M, x, y) * (1 + d.abs()))


@law(
    "distance-to-itself",
    "d(x, x) = 0,   log_x x = 0",
    catches="a clamped arc cosine, whose distance to itself is about 1e-8 to 1e-4",
    inputs=lambda draw: {"x": draw.points()},
)
def distance_to_itself(M: Manifold, x: Tensor) -> Residual:
    return Residual(M.dist(x, x).abs() + norm(M, x, M.log(x, x)), rounding(M, x))


@law(
    "distance-along-geodesics",
    "d(x, exp_x tv) = t |v|,   1e-12 ≤ t < 1",
    catches="loss of digits at small distances",
    inputs=_steps,
)
def distance_along_geodesics(M: Manifold, x: Tensor, v: Tensor) -> Residual:
    times = torch.tensor([1.0, 1e-2, 1e-4, 1e-6, 1e-9, 1e-12], dtype=x.dtype)
    length = norm(M, x, v)
    worst = torch.zeros_like(length)
    for t in times:
        worst = torch.maximum(worst, (M.dist(x, M.exp(x, t * v)) - t * length).abs())
    return Residual(worst, rounding(M, x, M.exp(x, v)) * (1 + length))


@law(
    "triangle-inequality",
    "d(x, z) ≤ d(x, y) + d(y, z)",
    catches="a distance that is no distance, such as its square",
    inputs=lambda draw: {"x": draw.points(), "y": draw.points(), "z": draw.points()},
)
def triangle_inequality(M: Manifold, x: Tensor, y: Tensor, z: Tensor) -> Residual:
    """For a random third point, and for one on the geodesic, where the two sides are equal."""
    there = M.dist(x, y)
    excess = M.dist(x, z) - there - M.dist(y, z)
    between = M.geodesic(x, z, 0.3)
    detour = (M.dist(x, between) + M.dist(between, z) - M.dist(x, z)).abs()
    worst = torch.maximum(excess.clamp_min(0.0), detour)
    return Residual(worst, rounding(M, x, y, z) * (1 + there))


@law(
    "geodesics-have-constant-speed",
    "|d/dt exp_x(tv)| = |v|",
    catches="a missing factor of the metric, an `exp` that is a projection",
    inputs=_walks,
)
def constant_speed(M: Manifold, x: Tensor, v: Tensor, w: Tensor) -> Residual:
    del w
    length = norm(M, x, v)
    worst, unit = torch.zeros_like(length), rounding(M, x)
    for t in (0.0, 0.5, 1.0, 1.5):
        point, velocity = ray(M, x, v, torch.full_like(length, t))
        worst = torch.maximum(worst, (norm(M, point, velocity) - length).abs())
        unit = torch.maximum(unit, rounding(M, x, point))
    return Residual(worst, unit * length)


@law(
    "gauss-lemma",
    "g(d exp_v(v), d exp_v(w)) = g(v, w)",
    catches="curves of constant speed that are no geodesics of this metric",
    inputs=_walks,
)
def gauss_lemma(M: Manifold, x: Tensor, v: Tensor, w: Tensor) -> Residual:
    y, radial = value_and_derivative(lambda a: M.exp(x, a), v, v)
    across = derivative(lambda a: M.exp(x, a), v, w)
    difference = M.inner(y, radial, across) - M.inner(x, v, w)
    size = norm(M, x, v) * (norm(M, x, w) + norm(M, y, across))
    return Residual(difference.abs(), rounding(M, x, y) * size)


@law(
    "velocity-of-the-geodesic",
    "d/dt γ(t) = γ'(t),   |γ'(t)| = d(x, y)",
    catches="a velocity of another parameter, or one that is not transported",
    inputs=_steps,
)
def velocity(M: Manifold, x: Tensor, v: Tensor) -> Residual:
    y = M.exp(x, v)
    length = M.dist(x, y)
    worst, unit = torch.zeros_like(length), rounding(M, x, y)
    for t in (0.0, 0.3, 1.0):
        times = torch.full_like(length, t)
        point, speed = M.geodesic_with_velocity(x, y, times)
        derived = derivative(lambda s: M.geodesic(x, y, s), times, torch.ones_like(times))
        apart = gap(M, point, M.geodesic(x, y, times))
        off = norm(M, point, speed - derived) + (norm(M, point, speed) - length).abs()
        worst = torch.maximum(worst, off + apart)
        unit = torch.maximum(unit, rounding(M, x, y, point))
    return Residual(worst, 2 * unit * (1 + length) * _stretching(M, x, v))


@law(
    "gradient-of-the-distance",
    "∇_x d(x, y) = -log_x y / |log_x y|",
    catches="a distance whose derivative is wrong, infinite or missing",
    inputs=_steps,
)
def gradient_of_distance(M: Manifold, x: Tensor, v: Tensor) -> Residual:
    """Of d² / 2, whose gradient `-log_x y` is smooth at x = y too."""
    y = M.exp(x, v)
    gradient = M.gradient(lambda z: M.dist(z, y).square() / 2)(x)
    unit = rounding(M, x, y) * (1 + norm(M, x, v)) * _stretching(M, x, v)
    return Residual(norm(M, x, gradient + M.log(x, y)), 2 * unit)


@law(
    "derivatives-are-finite",
    "|∂ d|, |∂ log|, |∂ exp|, |∂ transport| < ∞ also at x = y, v = 0 and the cut locus",
    catches="NaN from 0/0 or from the branch of a `where` that is not taken",
    inputs=_pairs_and_cut,
)
def derivatives_are_finite(M: Manifold, x: Tensor, y: Tensor) -> Residual:
    def everything(a: Tensor, b: Tensor, u: Tensor) -> Tensor:
        parts = [M.log(a, b), M.exp(a, u), M.geodesic(a, b, 0.5), M.transport(a, b, u)]
        return M.dist(a, b) + M.norm(a, u) + sum((part.flatten(1).sum(-1) for part in parts), a.new_zeros(()))

    total = torch.zeros(len(x), dtype=x.dtype)
    for other in (y, x.clone()):
        for u in (torch.zeros_like(x), M.log(x, y)):
            leaves = [t.detach().clone().requires_grad_() for t in (x, other, u)]
            with torch.enable_grad():
                value = everything(*leaves)
                gradients = torch.autograd.grad(value.sum(), leaves)
            total = total + (~value.detach().isfinite()).to(x.dtype)
            for gradient in gradients:
                total = total + (~gradient.isfinite()).flatten(1).sum(-1)
    return Residual(total, torch.full_like(total, 0.5))


@law(
    "determinant-of-exp",
    "log |det d exp_v| = ½ log det g(d exp_v(e_i), d exp_v(e_j))",
    catches="a volume that grows at the wrong power, as sinh r for (sinh r)^{n-1}",
    inputs=_walks,
)
def determinant_of_exp(M: Manifold, x: Tensor, v: Tensor, w: Tensor) -> Residual:
    del w
    y = M.exp(x, v)
    images, there = images_of_the_frame(M, x, v), y[:, None, None]
    products = M.inner(there, images[:, :, None], images[:, None, :])
    wanted = torch.linalg.slogdet(products).logabsdet / 2
    condition = torch.linalg.cond(products).sqrt()
    return Residual((M.log_det_exp(x, v) - wanted).abs(), rounding(M, x, y) * M.dim * (1 + wanted.abs() + condition))


@law(
    "minimising-geodesics",
    "is_minimising(x, v) ⇔ d(x, exp_x tv) = t |v| for t ≤ 1",
    catches="an `is_minimising` that does not know the cut locus",
    inputs=_long_walks,
)
def minimising(M: Manifold, x: Tensor, v: Tensor) -> Residual:
    """The lengths differ by far more than round-off, or the vector is not used."""
    length = norm(M, x, v)
    behind = length - M.dist(x, M.exp(x, v))
    doubtful = (behind.abs() > 1e-9 * length) & (behind.abs() < 1e-3 * length)
    wrong = (M.is_minimising(x, v) != (behind.abs() <= 1e-9 * length)) & ~doubtful
    return Residual(wrong.to(x.dtype), torch.full_like(length, 0.5))


LAWS = (
    stays,
    exp_undoes_log,
    log_undoes_exp,
    shortest,
    distance_is_length,
    distance_symmetric,
    distance_to_itself,
    distance_along_geodesics,
    triangle_inequality,
    constant_speed,
    gauss_lemma,
    velocity,
    gradient_of_distance,
    derivatives_are_finite,
    determinant_of_exp,
    minimising,
)
