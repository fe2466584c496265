"""Laws of Riemannian geometry, for every member, dtype and batch shape, with the points in every special position."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from rmatch.manifolds import Euclidean, Manifold, Sphere, Torus

from .cases import (
    MEMBERS,
    cut_point,
    every_dtype,
    every_member,
    pairs,
    points,
    reach,
    rounding,
    seam_apart,
    tangents,
    triples,
)


def largest(x: Tensor) -> float:
    return float(x.abs().amax()) if x.numel() else 0.0


def stretching(M: Manifold, length: Tensor) -> float:
    """How much `log` magnifies an error of its arguments across the geodesic: θ/sin θ on the sphere, else 1."""
    if not isinstance(M, Sphere) or not length.numel():
        return 1.0
    return float(1 / torch.sinc(length.double() / math.pi).abs().amin())


def closeness_to_the_cut(M: Manifold, x: Tensor, y: Tensor) -> float:
    """How much the directions at x and at y of the geodesic between them may differ, in roundings of x and y.

    At the antipode itself they do not, by the rule that chooses them.
    """
    if not isinstance(M, Sphere) or not x.numel():
        return 1.0
    gap = (x + y).double().norm(dim=-1)
    return float((1 + math.pi / gap.masked_fill(gap == 0, math.pi)).amax())


@every_member
@given(data=st.data())
def test_exp_undoes_log(M: Manifold, data: st.DataObject) -> None:
    x, y = data.draw(pairs(M))
    assert seam_apart(M, M.exp(x, M.log(x, y)), y) <= rounding(M, x, y)


@every_member
@given(data=st.data(), fraction=st.floats(0.0, 0.95))
def test_log_undoes_exp_before_the_cut(M: Manifold, data: st.DataObject, fraction: float) -> None:
    x, _ = data.draw(pairs(M))
    v = tangents(M, x, data.draw(st.integers(0, 10**6)))
    length = v.abs().amax(-1, keepdim=True) if isinstance(M, Torus) else M.norm(x, v).unsqueeze(-1)
    v = M.to_tangent(x, v * (fraction * min(reach(M), 10.0) / length.clamp_min(0.1)))
    allowed = rounding(M, x) * stretching(M, M.norm(x, v))
    assert largest(M.log(x, M.exp(x, v)) - v) <= allowed


@every_member
@given(data=st.data())
def test_distance_is_the_length_of_log(M: Manifold, data: st.DataObject) -> None:
    x, y = data.draw(pairs(M))
    log = M.log(x, y)
    assert largest(M.norm(x, log) - M.dist(x, y)) <= rounding(M, log)


@every_member
@given(data=st.data())
def test_distance_is_symmetric_and_zero_only_at_the_same_point(M: Manifold, data: st.DataObject) -> None:
    x, y = data.draw(pairs(M))
    assert torch.equal(M.dist(x, y), M.dist(y, x))
    assert largest(M.dist(x, x)) == 0.0
    differ = (x != y).any(-1)
    assert bool((M.dist(x, y)[differ] > 0).all())
    diameter = reach(M) * (math.sqrt(M.dim) if isinstance(M, Torus) else 1.0)
    assert largest(M.dist(x, y)) <= diameter * (1 + 4 * torch.finfo(x.dtype).eps)


@every_member
@given(data=st.data())
def test_triangle_inequality(M: Manifold, data: st.DataObject) -> None:
    x, y = data.draw(pairs(M))
    z = points(M, tuple(x.shape[:-1]), data.draw(st.integers(0, 10**6)), x.dtype)
    excess = M.dist(x, y) - M.dist(x, z) - M.dist(z, y)
    assert not excess.numel() or float(excess.max()) <= rounding(M, x, y)


@every_member
@given(data=st.data())
def test_transport_is_an_isometry_onto_the_other_tangent_space(M: Manifold, data: st.DataObject) -> None:
    x, y, v = data.draw(triples(M))
    w = tangents(M, x, 7)
    moved, other = M.transport(x, y, v), M.transport(x, y, w)
    assert M.check_tangent(y, moved, tolerance=rounding(M, x)) is None
    allowed = rounding(M, x) * (1 + largest(v)) * (1 + largest(w)) * M.dim
    assert largest(M.inner(y, moved, other) - M.inner(x, v, w)) <= allowed


@every_member
@given(data=st.data())
def test_transport_there_and_back_is_the_identity(M: Manifold, data: st.DataObject) -> None:
    """At the exact cut too: the geodesic chosen from y to x is the one from x to y, run backwards."""
    x, y, v = data.draw(triples(M))
    back = M.transport(y, x, M.transport(x, y, v))
    assert largest(back - v) <= rounding(M, x, v) * closeness_to_the_cut(M, x, y)


@every_member
@given(data=st.data())
def test_transport_takes_the_velocity_of_the_geodesic_along(M: Manifold, data: st.DataObject) -> None:
    x, y = data.draw(pairs(M))
    there, back = M.log(x, y), M.log(y, x)
    assert largest(M.transport(x, y, there) + back) <= rounding(M, x, y, there) * closeness_to_the_cut(M, x, y)


@every_member
@given(data=st.data())
def test_geodesic_joins_its_ends_at_constant_speed(M: Manifold, data: st.DataObject) -> None:
    x, y = data.draw(pairs(M))
    allowed = rounding(M, x, y)
    for t, end in ((0.0, x), (1.0, y)):
        assert seam_apart(M, M.geodesic(x, y, t), end) <= allowed
        assert seam_apart(M, M.geodesic_with_velocity(x, y, t)[0], end) <= allowed
    times = torch.rand(x.shape[:-1], dtype=x.dtype)
    for t in (0.25, torch.tensor(0.7, dtype=x.dtype), times):
        point, velocity = M.geodesic_with_velocity(x, y, t)
        assert seam_apart(M, M.geodesic(x, y, t), point) <= allowed
        assert M.check_tangent(point, velocity, tolerance=allowed) is None
        assert largest(M.norm(point, velocity) - M.dist(x, y)) <= 4 * allowed
        assert largest(M.dist(x, point) - t * M.dist(x, y)) <= 4 * allowed


@every_member
@given(data=st.data(), t=st.floats(-0.5, 1.5))
def test_velocity_is_the_derivative_of_the_geodesic_and_the_default_agrees(
    M: Manifold, data: st.DataObject, t: float
) -> None:
    x, y = data.draw(pairs(M))
    time = torch.full(x.shape[:-1], t, dtype=x.dtype)
    point, velocity = M.geodesic_with_velocity(x, y, time)
    derivative = torch.func.jvp(lambda s: M.geodesic(x, y, s), (time,), (torch.ones_like(time),))[1]
    allowed = 8 * rounding(M, x, y)
    assert largest(velocity - derivative) <= allowed
    default_point, default_velocity = Manifold.geodesic_with_velocity(M, x, y, time)
    assert seam_apart(M, default_point, point) <= allowed
    if -1e-3 < t < 0.999 or not isinstance(M, Sphere):  # beyond the cut, transport takes the other way round
        assert largest(default_velocity - velocity) <= allowed * stretching(M, t * M.dist(x, y))


@every_member
@given(data=st.data())
def test_projections_are_idempotent(M: Manifold, data: st.DataObject) -> None:
    x, _ = data.draw(pairs(M))
    array = 10 * torch.randn_like(x)
    once = M.project(array)
    assert M.check_point(once) is None
    assert seam_apart(M, M.project(once), once) <= 2 * torch.finfo(x.dtype).eps
    tangent = M.to_tangent(x, array)
    assert largest(M.to_tangent(x, tangent) - tangent) <= rounding(M, x, array)
    rest = array - tangent
    assert largest(M.inner(x, tangent, rest)) <= rounding(M, x, array) * largest(array)


@every_member
@given(data=st.data())
def test_frame_is_an_orthonormal_basis_of_the_tangent_space(M: Manifold, data: st.DataObject) -> None:
    x, _ = data.draw(pairs(M))
    e = M.frame(x)
    gram = M.inner(x[..., None, None, :], e[..., :, None, :], e[..., None, :, :])
    assert largest(gram - torch.eye(M.dim, dtype=x.dtype)) <= rounding(M, x) / 2
    assert M.check_tangent(x.unsqueeze(-2).expand_as(e), e, tolerance=rounding(M, x)) is None
    assert largest(M.volume_form(x, e).abs() - 1) <= rounding(M, x) * M.dim


@every_member
@given(data=st.data())
def test_volume_form_is_oriented_and_linear(M: Manifold, data: st.DataObject) -> None:
    x, _ = data.draw(pairs(M))
    vectors = torch.stack([tangents(M, x, seed) for seed in range(M.dim)], -2)
    volume = M.volume_form(x, vectors)
    doubled = vectors.clone()
    doubled[..., 0, :] *= 2
    size = rounding(M, x) * M.dim * (1 + largest(volume))
    assert largest(M.volume_form(x, doubled) - 2 * volume) <= size
    if M.dim > 1:
        swapped = vectors.clone()
        swapped[..., 0, :], swapped[..., 1, :] = vectors[..., 1, :], vectors[..., 0, :]
        assert largest(M.volume_form(x, swapped) + volume) <= size


@every_member
@every_dtype
def test_random_tangent_is_standard_normal_in_the_tangent_space(M: Manifold, dtype: torch.dtype) -> None:
    x = points(M, (), 3, dtype).expand(20_000, -1)
    v = M.random_tangent(x, generator=torch.Generator().manual_seed(0))
    assert M.check_tangent(x, v) is None
    coefficients = torch.einsum("bk,ik->bi", v, M.frame(x[0])).double()
    assert largest(coefficients.mean(0)) <= 5 / math.sqrt(20_000)
    # each entry of the sample covariance has a standard error of at most sqrt(2 / 20000)
    assert largest(coefficients.T @ coefficients / 20_000 - torch.eye(M.dim)) <= 5 * math.sqrt(2 / 20_000)
    again = M.random_tangent(x, generator=torch.Generator().manual_seed(0))
    assert torch.equal(v, again)


@pytest.mark.parametrize("M", [M for M in MEMBERS if not isinstance(M, Euclidean)], ids=repr)
@every_dtype
def test_log_to_the_cut_is_the_same_every_time_and_ends_there(M: Manifold, dtype: torch.dtype) -> None:
    x = torch.cat([points(M, (50,), 0, dtype), M.origin(dtype=dtype)[None]])
    y = cut_point(M, x)
    v = M.log(x, y)
    assert bool(v.isfinite().all())
    for row in (0, 7, 50):
        assert torch.equal(M.log(x[row], y[row]), v[row])
    wanted = math.pi * (math.sqrt(M.dim) if isinstance(M, Torus) else 1.0)
    assert largest(M.norm(x, v) - wanted) <= rounding(M, x)
    assert seam_apart(M, M.exp(x, v), y) <= rounding(M, x)
