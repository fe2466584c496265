"""Closed forms of the posterior over end points against the change of variables, member by member."""

import math

import pytest
import torch
from torch import Tensor

import rmatch as rm
from rmatch.paths import GeodesicPath, posterior_velocity
from rmatch.paths.posterior import has_closed_form

F64 = torch.float64


class Hidden(rm.Distribution):
    """A law that no formula knows."""

    def __init__(self, law: rm.Distribution) -> None:
        self.manifold, self.law = law.manifold, law

    def sample(self, *args: object, **options: object) -> Tensor:
        raise AssertionError("not needed")

    def log_prob(self, x: Tensor) -> Tensor:
        return self.law.log_prob(x)


def wrapped(M: rm.Manifold, scale: float | tuple[float, ...] = 0.8) -> rm.Distribution:
    return rm.WrappedNormal(M, M.origin(dtype=F64), torch.tensor(scale, dtype=F64))


LAWS: list[rm.Distribution] = [
    rm.Uniform(rm.SpecialOrthogonal(3)),
    rm.Uniform(rm.Sphere(2, radius=2.0)),
    rm.Uniform(rm.Torus(2, periods=(1.0, 5.0))),
    rm.WrappedNormal(rm.Euclidean(2), torch.tensor([0.3, -0.2], dtype=F64), torch.tensor([0.7, 1.5])),
    wrapped(rm.PoincareBall(2)),
    wrapped(rm.Lorentz(3, curvature=-0.25), 1.3),
    wrapped(rm.Lorentz(1)),
    rm.WrappedNormal(rm.SPD(2, metric="log-euclidean"), torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=F64), 0.7),
    rm.Uniform(rm.Product(rm.Sphere(2), rm.Torus(1))),
    wrapped(rm.Product(rm.Lorentz(2), rm.Euclidean(1)), (0.6, 2.0)),
]
every_law = pytest.mark.parametrize("law", LAWS, ids=lambda law: repr(law.manifold))


def situation(law: rm.Distribution, n: int = 30) -> tuple[Tensor, Tensor, Tensor]:
    """Times from 0.02 to 0.97, points on the way at those times, and the end points of all of them."""
    generator = torch.Generator().manual_seed(6)
    x0, x1 = law.sample((n,), generator=generator, dtype=F64), law.sample((n,), generator=generator, dtype=F64)
    t = torch.linspace(0.02, 0.97, n, dtype=F64)
    return t, GeodesicPath(law.manifold).sample(t, x0, x1).x_t, x1


@every_law
def test_closed_forms_agree_with_the_change_of_variables(law: rm.Distribution) -> None:
    assert has_closed_form(law.manifold, law)
    assert not has_closed_form(law.manifold, Hidden(law))
    path = GeodesicPath(law.manifold)
    t, x, ends = situation(law)
    closed, reached = posterior_velocity(path, t, x, ends, law)
    general, general_reached = posterior_velocity(path, t, x, ends, Hidden(law))
    assert bool(reached.all() and general_reached.all())
    assert law.manifold.check_tangent(x, closed) is None
    torch.testing.assert_close(closed, general, rtol=1e-9, atol=1e-9)


@every_law
def test_float32_agrees_with_float64(law: rm.Distribution) -> None:
    M, path = law.manifold, GeodesicPath(law.manifold)
    t, x, ends = situation(law)
    exact, _ = posterior_velocity(path, t, x, ends, law)
    single, _ = posterior_velocity(path, t.float(), M.project(x.float()), M.project(ends.float()), law)
    assert single.dtype == torch.float32
    gap = M.norm(x, M.to_tangent(x, single.double() - exact))
    assert float((gap / (1 + M.norm(x, exact))).max()) < 1e-4  # rounding, over 1 - t = 0.03


@every_law
def test_one_candidate_gives_its_own_velocity(law: rm.Distribution) -> None:
    path = GeodesicPath(law.manifold)
    t, x, ends = situation(law)
    for row in (0, 12, 29):
        mean, reached = posterior_velocity(path, t[[row]], x[[row]], ends[[row]], law)
        assert bool(reached.all())
        wanted = path.velocity(t[[row]], x[[row]], ends[[row]])
        torch.testing.assert_close(mean, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "law",
    [rm.Uniform(rm.SpecialOrthogonal(3)), rm.Uniform(rm.Product(rm.Sphere(2), rm.Torus(1)))],
    ids=lambda law: repr(law.manifold),
)
def test_a_point_that_no_candidate_reaches_is_reported(law: rm.Distribution) -> None:
    """3 away, but only 0.1 π is within reach at t = 0.9."""
    M = law.manifold
    end = M.origin(dtype=F64).unsqueeze(0)
    x = M.exp(end, 3.0 * M.frame(end)[:, 0])
    mean, reached = posterior_velocity(GeodesicPath(M), torch.tensor([0.9], dtype=F64), x, end, law)
    assert not bool(reached.any())
    assert float(mean.abs().max()) < 1e-12


def test_where_a_factor_is_out_of_reach_the_others_do_not_count() -> None:
    """On T¹ × R, the only end point within reach of the angle is the less likely one of the line."""
    M = rm.Product(rm.SpecialOrthogonal(3), rm.Torus(1))
    law = rm.Uniform(M)
    origin = M.origin(dtype=F64)
    far = M.exp(origin, 3.0 * M.frame(origin)[3])  # 3 away on the circle
    ends = torch.stack([origin, far])
    t, path = torch.tensor([0.9], dtype=F64), GeodesicPath(M)
    mean, _ = posterior_velocity(path, t, origin.unsqueeze(0), ends, law)
    torch.testing.assert_close(mean, torch.zeros_like(mean))


def test_points_far_out_and_late_times_stay_finite() -> None:
    M = rm.Lorentz(2)
    law = wrapped(M, 1.0)
    origin = M.origin()
    ends = M.exp(origin, torch.tensor([0.1, 1.0, 8.0]).reshape(3, 1) * M.frame(origin)[0])
    t = torch.tensor([0.0, 0.5, 1 - 1e-5]).repeat(3)
    x = ends.repeat_interleave(3, 0)
    mean, _ = posterior_velocity(GeodesicPath(M), t, x, ends, law)
    assert bool(mean.isfinite().all())
    assert math.isfinite(float(M.norm(x, mean).max()))


def test_what_has_no_closed_form_is_known() -> None:
    wide = rm.WrappedNormal(rm.Lorentz(2), rm.Lorentz(2).origin(), 5.0)
    aside = rm.WrappedNormal(rm.Lorentz(2), torch.tensor([1.25, 0.75, 0.0]), 0.5)
    for law in (wide, aside, wrapped(rm.SPD(2)), wrapped(rm.Sphere(2)), wrapped(rm.Product(rm.SPD(2), rm.Torus(1)))):
        assert not has_closed_form(law.manifold, law)
        if law.manifold.dim < 4:
            t, x, ends = situation(law, 5)
            mean, reached = posterior_velocity(GeodesicPath(law.manifold), t, x, ends, law)
            assert bool(reached.all() and mean.isfinite().all())
