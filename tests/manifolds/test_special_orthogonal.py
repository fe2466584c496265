"""Rotations against numbers of 60 digits, scipy, and the laws of a bi-invariant metric, from 1e-12 to half a turn."""

import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from torch import Tensor

import rmatch as rm
from rmatch.manifolds import Manifold, SpecialOrthogonal

from .cases import every_dtype
from .rotations import F64, M, rotations, tangents

mp.mp.dps = 60
close = torch.testing.assert_close

ANGLES = {
    "1e-12": mp.mpf("1e-12"),
    "1e-8": mp.mpf("1e-8"),
    "1e-4": mp.mpf("1e-4"),
    "1e-2": mp.mpf("1e-2"),
    "1": mp.mpf(1),
    "2pi/3": 2 * mp.pi / 3,
    "3": mp.mpf(3),
    "pi-1e-4": mp.pi - mp.mpf("1e-4"),
    "pi-1e-8": mp.pi - mp.mpf("1e-8"),
    "pi-1e-12": mp.pi - mp.mpf("1e-12"),
}
AXES = [(0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (1.0, -1.0, 0.0), (1e-9, 1.0, 1e-5), (-0.3, 0.5, 0.8), (1.0, 1.0, 1.0)]

# Rotation matrices in float32 tell angles and axes between 1e-4 and π - 1e-4 only.
every_angle = pytest.mark.parametrize(
    ("dtype", "angle"),
    [
        pytest.param(dtype, angle, id=f"{name}-{str(dtype).removeprefix('torch.')}")
        for dtype in (torch.float32, F64)
        for name, angle in ANGLES.items()
        if dtype == F64 or 0.9e-4 < float(angle) < math.pi - 0.9e-4
    ],
)


# ---- 60 digits ------------------------------------------------------------------------------------------------------


def skew(w: Any) -> Any:
    return mp.matrix([[0, -w[2], w[1]], [w[2], 0, -w[0]], [-w[1], w[0], 0]])


def turned(axis: tuple[float, ...], angle: Any) -> Any:
    """Rodrigues' formula."""
    size = mp.sqrt(mp.fsum(mp.mpf(a) ** 2 for a in axis))
    k = skew([mp.mpf(a) / size for a in axis])
    return mp.eye(3) + mp.sin(angle) * k + (1 - mp.cos(angle)) * k * k


def exact(x: Tensor) -> Any:
    """The floats of a matrix."""
    return mp.matrix([[mp.mpf(p) for p in row] for row in x.double().tolist()])


def nearest(a: Any) -> Any:
    """The polar factor, by Newton's iteration X -> (X + X⁻ᵀ)/2: what the floats of a rotation matrix mean."""
    for _ in range(9):
        a = (a + (a.T) ** -1) / 2
    return a


def log_of(r: Any) -> Any:
    """The rotation vector, for angles in (0, π)."""
    sine = [(r[2, 1] - r[1, 2]) / 2, (r[0, 2] - r[2, 0]) / 2, (r[1, 0] - r[0, 1]) / 2]
    size = mp.sqrt(mp.fsum(p * p for p in sine))
    return [mp.atan2(size, (r[0, 0] + r[1, 1] + r[2, 2] - 1) / 2) * p / size for p in sine]


def rounded(r: Any, dtype: torch.dtype) -> Tensor:
    return torch.tensor([[float(r[i, j]) for j in range(3)] for i in range(3)], dtype=F64).to(dtype)


def size_of(a: Any) -> Any:
    return mp.sqrt(mp.fsum(p * p for p in a))


def pairs_at(angle: Any, dtype: torch.dtype) -> list[tuple[Tensor, Tensor, Any, Any]]:
    """For every axis: x, y as floats; the exact x, and the exact rotation vector from x to y."""
    found: list[tuple[Tensor, Tensor, Any, Any]] = []
    for axis, base in zip(AXES, (torch.eye(3, dtype=F64), *rotations(len(AXES) - 1)), strict=True):
        x = base.to(dtype)
        at = nearest(exact(x))
        y = rounded(at * turned(axis, angle), dtype)
        found.append((x, y, at, log_of(at.T * nearest(exact(y)))))
    return found


@every_angle
def test_log_and_dist_have_full_relative_precision(dtype: torch.dtype, angle: Any) -> None:
    bound = 2e-15 if dtype == F64 else 1e-6
    for x, y, at, omega in pairs_at(angle, dtype):
        true = size_of(omega)
        assert abs(float(M.dist(x, y)) - true) <= bound * true
        # what the floats of y leave open: the axis, by a rounding over the sine
        assert size_of(exact(M.log(x, y)) - at * skew(omega)) <= bound * mp.sqrt(2) * true


@every_angle
def test_gradient_of_dist_is_the_unit_vector_along_the_geodesic(dtype: torch.dtype, angle: Any) -> None:
    """-log_x y / θ and -log_y x / θ, raised by the metric, with the axis exact up to half a turn."""
    bound = 4e-15 if dtype == F64 else 2e-6
    for x, y, at, omega in pairs_at(angle, dtype):
        unit = skew([p / size_of(omega) for p in omega])
        x, y = x.requires_grad_(), y.requires_grad_()
        by_x, by_y = torch.autograd.grad(M.dist(x, y), (x, y))
        for point, there, gradient, sign in ((x, at, by_x, -1), (y, nearest(exact(y)), by_y, 1)):
            raised = M.sharp(point.detach(), gradient)
            assert size_of(exact(raised) - sign * there * unit) <= bound


@every_angle
def test_exp_is_rodrigues_formula(dtype: torch.dtype, angle: Any) -> None:
    bound = 1e-15 if dtype == F64 else 1e-6
    for axis, base in zip(AXES, rotations(len(AXES)), strict=True):
        x = base.to(dtype)
        v = M.span(x, float(angle) * torch.tensor(axis, dtype=dtype) / torch.tensor(axis, dtype=F64).norm().to(dtype))
        generator = exact(x).T * exact(v)
        omega = [(generator[i, j] - generator[j, i]) / 2 for i, j in ((2, 1), (0, 2), (1, 0))]
        true = nearest(exact(x)) * turned(tuple(omega), size_of(omega))
        gap = exact(M.exp(x, v)) - true
        assert max(abs(gap[i, j]) for i in range(3) for j in range(3)) <= 2 * bound


def test_exp_keeps_the_relative_precision_of_a_small_step() -> None:
    """What it adds to an entry that is 0."""
    x = torch.eye(3, dtype=F64)
    for size in (1e-300, 1e-12, 1e-3, 1.0):
        v = M.span(x, torch.tensor([0.0, 0.0, size], dtype=F64))
        assert float(M.exp(x, v)[1, 0]) == pytest.approx(math.sin(size), rel=1e-15)


# ---- independent library --------------------------------------------------------------------------------------------


def test_log_dist_and_quaternions_are_those_of_scipy() -> None:
    x, y = rotations(200, 0), rotations(200, 1)
    between = Rotation.from_matrix(x.numpy()).inv() * Rotation.from_matrix(y.numpy())
    omega = between.as_rotvec()
    close(M.dist(x, y), torch.from_numpy(between.magnitude()), rtol=1e-13, atol=1e-13)
    close(M.log(x, y), M.span(x, torch.from_numpy(omega)), rtol=1e-11, atol=1e-11)
    close(M.exp(x, M.span(x, torch.from_numpy(omega))), y, rtol=0, atol=1e-14)
    q = torch.from_numpy(Rotation.from_matrix(x.numpy()).as_quat(canonical=True, scalar_first=True))
    close(M.to_quaternions(x), q, rtol=0, atol=1e-14)
    close(M.from_quaternions(-3 * q), x, rtol=0, atol=1e-14)


@pytest.mark.parametrize("noise", [1e-6, 1e-3, 0.2, 3.0])
def test_project_is_the_nearest_rotation(noise: float) -> None:
    """The orthogonal Procrustes rotation, which scipy finds by Kabsch's algorithm; reflections included."""
    a = rotations(40) + noise * torch.randn(40, 3, 3, dtype=F64, generator=torch.Generator().manual_seed(0))
    for matrix, found in zip(a, M.project(a), strict=True):
        expected = Rotation.align_vectors(matrix.T.numpy(), np.eye(3))[0].as_matrix()
        close(found, torch.from_numpy(expected), rtol=0, atol=1e-10)
    assert M.check_point(M.project(a), tolerance=1e-15) is None


# ---- laws -----------------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 10**6), relation=st.sampled_from(["apart", "equal", "1e-9", "1e-3", "half a turn"]))
def test_exp_undoes_log_and_log_undoes_exp(seed: int, relation: str) -> None:
    x, y = rotations(4, seed), rotations(4, seed + 1)
    if relation == "half a turn":
        axis = torch.randn(4, 3, dtype=F64, generator=torch.Generator().manual_seed(seed))
        y = M.exp(x, M.span(x, math.pi * axis / axis.norm(dim=-1, keepdim=True)))
    elif relation != "apart":
        y = M.exp(x, (0.0 if relation == "equal" else float(relation)) * tangents(x))
    v = M.log(x, y)
    close(M.exp(x, v), y, rtol=0, atol=4e-15)
    close(M.norm(x, v), M.dist(x, y), rtol=1e-15, atol=2e-15)
    close(M.dist(x, y), M.dist(y, x), rtol=1e-15, atol=2e-15)
    assert M.check_tangent(x, v, tolerance=1e-14) is None
    v = tangents(x, seed)
    v = v * (3.0 / M.norm(x, v).clamp_min(3.0))[:, None, None]
    close(M.log(x, M.exp(x, v)), v, rtol=0, atol=2e-14)


@given(seed=st.integers(0, 10**6))
def test_transport_is_an_isometry_that_takes_the_velocity_along_and_comes_back(seed: int) -> None:
    x, y = rotations(6, seed), rotations(6, seed + 1)
    u, v = tangents(x, 1), tangents(x, 2)
    close(M.inner(y, M.transport(x, y, u), M.transport(x, y, v)), M.inner(x, u, v), rtol=0, atol=2e-14)
    assert M.check_tangent(y, M.transport(x, y, u), tolerance=1e-14) is None
    close(M.transport(x, y, M.log(x, y)), -M.log(y, x), rtol=0, atol=2e-14)
    close(M.transport(y, x, M.transport(x, y, u)), u, rtol=0, atol=2e-14)


def test_transport_is_the_levi_civita_connection() -> None:
    """A transported field has no covariant derivative: the tangent part of its ambient derivative along the curve.

    The metric is half that of R⁹, so the covariant derivative is that projection, and the curve is followed by jvp.
    """
    x, w, u = rotations(5), tangents(rotations(5), 3), tangents(rotations(5), 4)

    def carried(t: Tensor) -> Tensor:
        return M.transport(x, M.exp(x, t * w), u)

    for t in (0.0, 0.3, 0.9):
        time = torch.tensor(t, dtype=F64)
        rate = torch.func.jvp(carried, (time,), (torch.ones_like(time),))[1]
        close(M.to_tangent(M.exp(x, t * w), rate), torch.zeros_like(x), rtol=0, atol=1e-13)


def test_the_metric_is_bi_invariant() -> None:
    x, y, a = rotations(50, 0), rotations(50, 1), rotations(1, 2)
    for left, right in ((a, torch.eye(3, dtype=F64)), (torch.eye(3, dtype=F64), a), (a, a.mT)):
        close(M.dist(left @ x @ right, left @ y @ right), M.dist(x, y), rtol=1e-13, atol=1e-14)
        close(M.log(left @ x @ right, left @ y @ right), left @ M.log(x, y) @ right, rtol=0, atol=1e-12)


def test_frame_is_orthonormal_and_oriented_and_sharp_raises_by_the_metric() -> None:
    x = rotations(20)
    e = M.frame(x)
    identity = torch.eye(3, dtype=F64).expand(20, 3, 3)
    close(M.inner(x[:, None, None], e[:, :, None], e[:, None]), identity, rtol=0, atol=1e-14)
    close(M.volume_form(x, e), torch.ones(20, dtype=F64), rtol=0, atol=1e-14)
    close(M.volume_form(x, e.flip(1)), -torch.ones(20, dtype=F64), rtol=0, atol=1e-14)
    df, v = torch.randn(20, 3, 3, dtype=F64), tangents(x)
    close(M.inner(x, M.sharp(x, df), v), (df * v).sum((-2, -1)), rtol=0, atol=1e-13)
    close(M.to_tangent(x, v), v, rtol=0, atol=1e-14)


def test_geodesic_runs_at_constant_speed_and_its_velocity_is_its_derivative() -> None:
    x, y, t = rotations(8, 0), rotations(8, 1), torch.rand(8, dtype=F64)
    point, velocity = M.geodesic_with_velocity(x, y, t)
    rate = torch.func.jvp(lambda s: M.geodesic(x, y, s), (t,), (torch.ones_like(t),))[1]
    close(velocity, rate, rtol=0, atol=1e-13)
    close(point, M.geodesic(x, y, t), rtol=0, atol=1e-14)
    close(velocity, Manifold.geodesic_with_velocity(M, x, y, t)[1], rtol=0, atol=1e-12)
    close(M.dist(x, point), t * M.dist(x, y), rtol=1e-12, atol=1e-13)
    along = M.geodesic_with_velocity(x[0], y[0], t)  # many times on one geodesic
    close(along[0], M.geodesic(x[0].expand(8, 3, 3), y[0], t), rtol=0, atol=1e-14)
    close(M.geodesic_with_velocity(x[0], y[0], 0.5)[1], M.geodesic_with_velocity(x, y, 0.5)[1][0], rtol=0, atol=1e-14)


def test_log_det_exp_is_that_of_autodiff() -> None:
    x = rotations(30)
    v = 1.5 * tangents(x)
    close(M.log_det_exp(x, v), Manifold.log_det_exp(M, x, v), rtol=0, atol=1e-11)
    sizes = torch.tensor([1.0, math.pi - 1e-9, math.pi + 1e-9], dtype=F64)
    assert M.is_minimising(x[:3], M.span(x[:3], sizes[:, None] * torch.eye(3, dtype=F64))).tolist() == [
        True,
        True,
        False,
    ]


# ---- half a turn -----------------------------------------------------------------------------------------------------


@every_dtype
def test_half_a_turn_is_pi_long_about_the_axis_whose_largest_entry_is_positive(dtype: torch.dtype) -> None:
    """At the identity the three half turns about the axes, and those about diagonals, are exact floats."""
    x = torch.eye(3, dtype=dtype)
    for axis in ([1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [0.6, 0.8, 0.0], [-0.6, 0.0, 0.8], [0.28, -0.96, 0.0]):
        n = torch.tensor(axis, dtype=dtype)
        n = n * n[n.abs().argmax()].sign()
        y = 2 * n[:, None] * n[None, :] - x  # symmetric: exactly half a turn
        for batch in (y, y.expand(5, 3, 3)):
            v = M.log(x, batch)
            eps = torch.finfo(dtype).eps
            close(v, M.span(x, math.pi * n).expand_as(batch), rtol=0, atol=8 * eps)
            close(M.dist(x, batch), torch.full(batch.shape[:-2], math.pi, dtype=dtype), rtol=2 * eps, atol=0)


# ---- bad input ------------------------------------------------------------------------------------------------------


def test_what_is_no_rotation_is_refused_with_its_row_and_numbers() -> None:
    x = rotations(4)
    x[2] = 1.1 * x[2]
    with pytest.raises(
        rm.PointError, match=r"row 2 is no rotation matrix: it is 0.11 off orthogonal .* 1.33; use proj"
    ):
        M.require_point(x)
    mirror = torch.diag(torch.tensor([1.0, 1.0, -1.0]))
    with pytest.raises(rm.PointError, match=r"row 0 .* determinant -1"):
        M.require_point(mirror)
    with pytest.raises(rm.PointError, match=r"have shape \(\*batch, 3, 3\), got \(4, 3\)"):
        M.require_point(x[:, 0])
    with pytest.raises(rm.OptionError, match="three dimensions only"):
        SpecialOrthogonal(4)


@every_dtype
def test_project_of_zero_and_of_mirrors_is_a_rotation_with_finite_derivatives(dtype: torch.dtype) -> None:
    a = torch.stack([torch.zeros(3, 3), torch.diag(torch.tensor([1.0, 1.0, -1.0])), -torch.eye(3)]).to(dtype)
    a.requires_grad_()
    found = M.project(a)
    assert M.check_point(found.detach()) is None
    (gradient,) = torch.autograd.grad(found.sum(), a)
    assert bool(gradient.isfinite().all())
