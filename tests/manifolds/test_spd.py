"""Positive definite matrices: 80 digits, geomstats and scipy, invariances, volume, and bad input."""

import math
import os
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from rmatch._errors import OptionError, PointError, TangentError
from rmatch.manifolds import SPD, Manifold
from rmatch.manifolds.spd import MetricName

from . import reference_spd as reference
from .definite import AFFINE, LOG_EUCLIDEAN, both_metrics, close, every_member, pair, points, symmetric, tangents

# ---- values ---------------------------------------------------------------------------------------------------------

# Relative errors of dist, of log by entries, and of log and exp in the norm of the metric at x. An entry's rounding of
# 1.1e-16 moves the smallest eigenvalue by that times the condition: no method that sees only the entries can do better.
ACCURACY = {
    1.0: (3e-15, 3e-15, 3e-15, 3e-15),
    1e3: (3e-14, 4e-14, 1e-13, 1e-12),
    1e6: (1e-11, 1e-11, 3e-10, 1e-8),
    1e10: (5e-8, 2e-7, 3e-6, 1e-4),
}


@pytest.mark.parametrize("condition", ACCURACY)
def test_dist_log_and_exp_agree_with_80_digits(condition: float) -> None:
    M = SPD(3)
    for seed in range(6):
        x, y = pair(condition, seed)
        dist_error, entry_error, log_error, exp_error = ACCURACY[condition]
        assert abs(float(M.dist(x, y) / float(reference.dist(x, y))) - 1) <= dist_error
        v = M.log(x, y)
        assert reference.error(v, reference.log(x, y)) <= entry_error
        assert reference.whitened_error(x, v, reference.log(x, y)) <= log_error
        assert reference.whitened_error(x, M.exp(x, v), reference.exp(x, v)) <= exp_error


@pytest.mark.parametrize(("condition", "allowed"), [(1.0, 1e-6), (1e3, 3e-4)])
def test_float32_keeps_the_digits_that_the_condition_leaves(condition: float, allowed: float) -> None:
    M = SPD(3)
    for seed in range(6):
        x, y = (a.float() for a in pair(condition, seed))
        assert abs(float(M.dist(x, y)) / float(reference.dist(x, y)) - 1) <= allowed
        v = M.log(x, y)
        assert v.dtype == torch.float32
        assert reference.whitened_error(x, v, reference.log(x, y)) <= allowed
        assert reference.whitened_error(x, M.exp(x, v), reference.exp(x, v)) <= allowed


@pytest.mark.parametrize("separation", [1e-12, 1e-8, 1e-3, 0.1, 0.4])
@pytest.mark.parametrize(("condition", "allowed"), [(1.0, 4e-15), (1e3, 3e-13), (1e6, 3e-10), (1e10, 3e-6)])
def test_near_points_keep_all_digits_that_the_condition_leaves(
    separation: float, condition: float, allowed: float
) -> None:
    """Relative to the distance: as exact numbers, floats have a difference that is known to its last digit."""
    M = SPD(3)
    for seed in range(3):
        x = reference.matrix_of_condition(3, condition, seed)
        y = M.exp(x, separation * tangents(M, x, seed))
        if torch.equal(x, y):  # the largest entries of a large condition hide a step of 1e-12
            continue
        wanted = reference.dist(x, y)
        far = reference.matrix_of_condition(3, 100.0, seed)
        dist = M.dist(torch.stack([x, far]), torch.stack([y, y]))  # one row near, the other not
        assert abs(float(dist[0]) / float(wanted) - 1) <= allowed
        assert reference.whitened_error(x, M.log(x, y), reference.log(x, y)) <= allowed
        leaf = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(M.dist(leaf, y), leaf)
        raised = M.sharp(x, gradient)
        assert reference.whitened_error(x, raised, reference.log(x, y) / -wanted) <= 3 * allowed


@pytest.mark.parametrize(("condition", "allowed"), [(1e3, 3e-13), (1e6, 3e-10), (1e10, 1e-5)])
def test_raising_a_covector_loses_the_condition_once(condition: float, allowed: float) -> None:
    """The gradient of a distance, whose entries span the square of the condition, in the norm at x."""
    M = SPD(3)
    for seed in range(6):
        x, y = pair(condition, seed)
        leaf = x.clone().requires_grad_()
        (covector,) = torch.autograd.grad(M.dist(leaf, y), leaf)
        raised = M.sharp(x, covector)
        assert reference.whitened_error(x, raised, reference.log(x, y) / -reference.dist(x, y)) <= allowed


def test_log_euclidean_agrees_with_scipys_logarithm_and_exponential() -> None:
    M = SPD(4, LOG_EUCLIDEAN)
    x, y = points(M, (), 0), points(M, (), 1)
    log_x, log_y = (np.asarray(scipy.linalg.logm(a.numpy())) for a in (x, y))
    assert float(M.dist(x, y)) == pytest.approx(np.linalg.norm(log_x - log_y), rel=1e-13)
    close(M.geodesic(x, y, 0.3), torch.as_tensor(scipy.linalg.expm(0.7 * log_x + 0.3 * log_y)))
    close(M.log(x, y), torch.as_tensor(scipy.linalg.expm_frechet(log_x, log_y - log_x)[1]))


def test_affine_invariant_agrees_with_scipys_generalised_eigenvalues() -> None:
    M = SPD(6)
    x, y = points(M, (), 0), points(M, (), 1)
    values = scipy.linalg.eigh(y.numpy(), x.numpy(), eigvals_only=True)
    assert float(M.dist(x, y)) == pytest.approx(math.sqrt((np.log(values) ** 2).sum()), rel=1e-13)
    root = np.asarray(scipy.linalg.sqrtm(x.numpy()))
    inner = np.linalg.solve(root, np.linalg.solve(root, y.numpy()).T)
    close(M.log(x, y), torch.as_tensor(root @ np.asarray(scipy.linalg.logm(inner)) @ root))


def geomstats_metric(n: int, metric: MetricName) -> Any:
    """geomstats with its numpy backend, whatever the environment says."""
    before = os.environ.get("GEOMSTATS_BACKEND")
    os.environ["GEOMSTATS_BACKEND"] = "numpy"
    try:
        spd = pytest.importorskip("geomstats.geometry.spd_matrices")
        space = spd.SPDMatrices(n, equip=False)
        space.equip_with_metric(spd.SPDAffineMetric if metric == AFFINE else spd.SPDLogEuclideanMetric)
        if not isinstance(space.random_point(), np.ndarray):
            pytest.skip("geomstats was imported with another backend before")
        return space.metric
    finally:
        os.environ.pop("GEOMSTATS_BACKEND")
        if before is not None:
            os.environ["GEOMSTATS_BACKEND"] = before


@both_metrics
@pytest.mark.parametrize("n", [2, 3, 5])
def test_geomstats_gives_the_same_inner_product_exp_log_distance_and_transport(n: int, metric: MetricName) -> None:
    M, theirs = SPD(n, metric), geomstats_metric(n, metric)
    x, y = points(M, (4,), 0), points(M, (4,), 1)
    u, v = tangents(M, x, 0), tangents(M, x, 1)
    x_, y_, u_, v_ = (a.numpy() for a in (x, y, u, v))
    for found, wanted in (
        (M.inner(x, u, v), theirs.inner_product(u_, v_, x_)),
        (M.exp(x, v), theirs.exp(v_, x_)),
        (M.log(x, y), theirs.log(y_, x_)),
        (M.dist(x, y), theirs.dist(x_, y_)),
    ):
        close(found, torch.tensor(wanted), 1e-9)
    if metric == AFFINE:
        close(M.transport(x, y, v), torch.tensor(theirs.parallel_transport(v_, x_, end_point=y_)), 1e-9)


# ---- laws -----------------------------------------------------------------------------------------------------------


@every_member
def test_exp_and_log_are_inverse(M: SPD) -> None:
    x, y = points(M, (5,), 0), points(M, (5,), 1)
    v = tangents(M, x)
    close(M.exp(x, M.log(x, y)), y)
    close(M.log(x, M.exp(x, v)), v)
    close(M.norm(x, M.log(x, y)), M.dist(x, y))


@every_member
def test_transport_is_an_isometry_along_the_geodesic(M: SPD) -> None:
    x, y = points(M, (5,), 0), points(M, (5,), 1)
    u, v = tangents(M, x, 0), tangents(M, x, 1)
    close(M.inner(y, M.transport(x, y, u), M.transport(x, y, v)), M.inner(x, u, v))
    close(M.transport(x, y, M.log(x, y)), -M.log(y, x))
    close(M.transport(y, x, M.transport(x, y, v)), v)
    half = M.geodesic(x, y, 0.5)
    close(M.transport(half, y, M.transport(x, half, v)), M.transport(x, y, v))


@pytest.mark.parametrize("n", [2, 3])
def test_transport_has_no_covariant_derivative(n: int) -> None:
    """Along γ, V' = (V γ⁻¹ γ' + γ' γ⁻¹ V) / 2: the Christoffel symbols of the affine-invariant metric."""
    M = SPD(n)
    x, y = points(M, (), 0), points(M, (), 1)
    v = tangents(M, x)
    t = torch.tensor(0.4, dtype=x.dtype)

    def carried(s: Tensor) -> Tensor:
        return M.transport(x, M.geodesic(x, y, s), v)

    one = torch.ones_like(t)
    here, velocity = M.geodesic_with_velocity(x, y, t)
    turned = carried(t) @ torch.linalg.solve(here, velocity)
    close(torch.func.jvp(carried, (t,), (one,))[1], symmetric(turned))


@every_member
def test_geodesic_with_velocity_agrees_with_the_default(M: SPD) -> None:
    x, y = points(M, (5,), 0), points(M, (5,), 1)
    for t in (0.0, 0.3, 1.0, -0.5, torch.linspace(0, 1, 5, dtype=x.dtype)):
        for found, wanted in zip(
            M.geodesic_with_velocity(x, y, t), Manifold.geodesic_with_velocity(M, x, y, t), strict=True
        ):
            close(found, wanted)


@every_member
def test_distance_is_invariant(M: SPD) -> None:
    """Under every congruence a x aᵀ and inversion; log-Euclidean under rotation, scaling and inversion."""
    x, y = points(M, (5,), 0), points(M, (5,), 1)
    a = torch.randn(M.n, M.n, dtype=x.dtype)
    if M.metric_name == LOG_EUCLIDEAN:
        a = 3 * torch.linalg.qr(a)[0]
    close(M.dist(symmetric(a @ x @ a.T), symmetric(a @ y @ a.T)), M.dist(x, y), 1e-10)
    close(M.dist(torch.linalg.inv(x), torch.linalg.inv(y)), M.dist(x, y), 1e-10)
    close(M.dist(x, y), M.dist(y, x))


@every_member
def test_closed_forms_agree_with_the_defaults(M: SPD) -> None:
    x = points(M, (4,), 0)
    v = 0.5 * tangents(M, x)
    close(M.log_det_exp(x, v), Manifold.log_det_exp(M, x, v))
    close(M.metric(x), Manifold.metric(M, x), 1e-11)
    drift = Manifold.density_drift(M, x, v)
    assert drift is not None
    found = M.density_drift(x, v)
    assert found is not None
    close(found, drift)
    coefficients = torch.randn(4, M.dim, dtype=x.dtype)
    close(M.span(x, coefficients), Manifold.span(M, x, coefficients))
    frame = M.frame(x)
    close(M.inner(x[:, None, None], frame[:, :, None], frame[:, None]), torch.eye(M.dim, dtype=x.dtype))
    close(M.volume_form(x, frame), torch.ones(4, dtype=x.dtype))


@every_member
def test_volume_density_is_the_volume_form_of_the_coordinate_frame(M: SPD) -> None:
    x = points(M, (4,), 0)
    close(M.log_volume_density(x), M.volume_form(x, M.coordinate_frame(x)).log())
    gram = M.inner(x[:, None, None], M.coordinate_frame(x)[:, :, None], M.coordinate_frame(x)[:, None])
    close(2 * M.log_volume_density(x), torch.logdet(gram), 1e-11)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_volume_falls_with_the_determinant(n: int) -> None:
    """dV = det(x)^{-(n+1)/2} dx: at 4 I the volume of a coordinate cube is 4^{-n(n+1)/2}, and not its inverse."""
    M = SPD(n)
    assert float(M.log_volume_density(4 * M.origin(dtype=torch.float64))) == pytest.approx(-M.dim * math.log(4))
    entries = torch.stack([symmetric(b) * 2 for b in torch.eye(n * n, dtype=torch.float64).reshape(-1, n, n)])
    off = [entries[i * n + j] for i in range(n) for j in range(i, n)]
    cube = torch.stack([b / (2 if torch.count_nonzero(b) == 1 else 1) for b in off])
    # against Π_{i<=j} dx_ij the density at the identity is 2^{n(n-1)/4}
    assert float(M.volume_form(M.origin(dtype=torch.float64), cube)) == pytest.approx(2 ** (n * (n - 1) / 4))


# ---- projection and bad input ---------------------------------------------------------------------------------------


def test_project_keeps_points_and_takes_the_nearest_elsewhere() -> None:
    M = SPD(3)
    x = reference.matrix_of_condition(3, 1e10, 0)
    assert torch.equal(M.project(x), x)
    q = torch.linalg.qr(torch.randn(3, 3, dtype=x.dtype))[0]
    a = q @ torch.diag(torch.tensor([2.0, 1.0, -3.0], dtype=x.dtype)) @ q.T
    skew = torch.tensor([[0.0, 1.0, 2.0], [-1.0, 0.0, 3.0], [-2.0, -3.0, 0.0]], dtype=x.dtype)
    near = M.project(torch.stack([a + skew, torch.zeros_like(a), x]))
    assert M.check_point(near) is None
    close(near[0], q @ torch.diag(torch.tensor([2.0, 1.0, 0.0], dtype=x.dtype)) @ q.T, 1e-12)
    assert torch.equal(near[2], x)
    floor = 32 * 3 * torch.finfo(x.dtype).eps
    assert float(torch.linalg.eigvalsh(near[0])[0]) == pytest.approx(3 * floor, rel=0.1)
    close(near[1], floor * M.origin(dtype=x.dtype), 1e-16)


def test_derivative_of_the_projection_is_that_of_the_positive_part() -> None:
    """Against differences, at a matrix with eigenvalues of both signs."""
    M = SPD(3)
    q = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
    a = symmetric(q @ torch.diag(torch.tensor([2.0, 1.0, -3.0], dtype=q.dtype)) @ q.T)
    h, step = symmetric(torch.randn(3, 3, dtype=q.dtype)), 1e-5
    differences = (M.project(a + step * h) - M.project(a - step * h)) / (2 * step)
    close(torch.func.jvp(M.project, (a,), (h,))[1], differences, 1e-8)


def test_a_matrix_that_is_not_symmetric_or_not_positive_definite_is_named() -> None:
    M = SPD(2)
    x = M.origin(dtype=torch.float64).repeat(2, 3, 1, 1)
    assert M.check_point(x) is None
    x[1, 2, 0, 1] = 0.1
    problem = M.check_point(x)
    assert problem is not None
    assert "SPD(2), row 1, 2 is not symmetric: entries across the diagonal differ by 0.1 of the largest" in problem
    assert "use project(x)" in problem
    x[1, 2, 1, 0] = x[1, 2, 0, 1] = 2.0
    problem = M.check_point(x)
    assert problem is not None
    assert "row 1, 2 is not positive definite: its smallest eigenvalue is -1;" in problem
    with pytest.raises(PointError, match="smallest eigenvalue is -1"):
        M.require_point(x)
    with pytest.raises(PointError, match=r"row 0 is not positive definite: its smallest eigenvalue is 0;"):
        M.require_point(torch.diag(torch.tensor([1.0, 0.0])))
    with pytest.raises(TangentError, match="normal part"):
        M.require_tangent(M.origin(), torch.tensor([[0.0, 1.0], [0.0, 0.0]]))
    assert "have shape (*batch, 2, 2), got (3, 2)" in str(M.check_point(torch.ones(3, 2)))


def test_bad_options_are_refused() -> None:
    with pytest.raises(OptionError, match=r"size 1 or more, got SPD\(0\)"):
        SPD(0)
    with pytest.raises(OptionError, match="unknown metric 'stein'"):
        SPD(2, metric="stein")  # type: ignore[arg-type]


def test_members_are_equal_when_size_and_metric_are() -> None:
    assert SPD(2) == SPD(2)
    assert SPD(2) != SPD(3)
    assert SPD(2) != SPD(2, LOG_EUCLIDEAN)
    assert repr(SPD(2, LOG_EUCLIDEAN)) == 'SPD(2, metric="log-euclidean")'
