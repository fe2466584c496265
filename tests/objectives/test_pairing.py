"""The pairing of two paths against closed forms: normal laws that spread at different rates, and turning laws."""

import math

import pytest
import torch
from torch import Tensor

import rmatch as rm
from rmatch.objectives import _time_rule

PRECISE = rm.DormandPrince(rtol=1e-9, atol=1e-9)
FAST, SLOW = 0.3, -0.2  # growth rates of the two laws
PLANE = rm.Euclidean(2)


def spreading(rate: float, scale: float = 1.0) -> rm.FlowPath:
    """x' = rate x from N(0, scale²): the law at t is N(0, (scale e^{rate t})²)."""
    base = rm.WrappedNormal(PLANE, torch.zeros(2, dtype=torch.float64), scale)
    return rm.FlowPath(lambda t, x: rate * x, base=base, solver=PRECISE)


def kl_of_normals(ratio: Tensor) -> Tensor:
    """KL[N(0, r² I) || N(0, I)] in the plane: r² - 1 - 2 log r."""
    return ratio.square() - 1 - 2 * ratio.log()


@pytest.fixture(scope="module")
def spread() -> rm.Pairing:
    return rm.pairing(spreading(FAST), spreading(SLOW), times=17)


def test_all_numbers_over_time_against_normal_laws(spread: rm.Pairing) -> None:
    """V - W = (a - b) x and ∇log p - ∇log q = (1/τ² - 1/σ²) x, with σ = e^{at}, τ = e^{bt}, E|x|² = 2σ²."""
    t, seen = spread.t, spread.over_time
    sigma2, tau2 = torch.exp(2 * FAST * t), torch.exp(2 * SLOW * t)
    gap, score_gap, square = FAST - SLOW, 1 / tau2 - 1 / sigma2, 2 * sigma2
    wanted = {
        "kl": kl_of_normals((sigma2 / tau2).sqrt()),
        "kl_rate": gap * score_gap * square,
        "score_matching": score_gap**2 * square,
        "flow_matching": gap**2 * square,
        "entropy_rate_p": torch.full_like(t, 2 * FAST),
        "entropy_rate_q": torch.full_like(t, 2 * SLOW),
    }
    for name, values in wanted.items():
        torch.testing.assert_close(getattr(seen, name), values, rtol=1e-7, atol=1e-7, msg=name)


def test_the_identity_gives_the_divergence_of_the_ends(spread: rm.Pairing) -> None:
    wanted = float(kl_of_normals(torch.tensor(math.exp(FAST - SLOW), dtype=torch.float64)))
    assert spread.kl == pytest.approx(wanted, abs=1e-8)
    assert spread.kl_identity == pytest.approx(wanted, abs=1e-8)
    assert spread.kl_start == pytest.approx(0.0, abs=1e-10)
    assert spread.entropy_rate_p == pytest.approx(2 * FAST, abs=1e-8)  # H grows by log σ_1² - log σ_0²
    assert spread.kl < spread.bound


def test_the_stated_errors_cover_the_true_ones(spread: rm.Pairing) -> None:
    flow = (FAST - SLOW) ** 2 * (math.exp(2 * FAST) - 1) / FAST  # ∫ (a - b)² 2 e^{2at} dt
    assert abs(spread.flow_matching - flow) <= spread.errors.flow_matching + 1e-9
    assert max(spread.errors) < 1e-5


def test_different_starts_enter_through_the_divergence_at_the_start() -> None:
    r = rm.pairing(spreading(FAST, 1.2), spreading(SLOW, 0.9), times=17)
    assert r.kl_start == pytest.approx(float(kl_of_normals(torch.tensor(1.2 / 0.9).double())), abs=1e-7)
    assert r.kl_identity == pytest.approx(r.kl, abs=1e-7)
    assert r.kl <= r.bound


def test_samples_agree_within_the_standard_error() -> None:
    exact = rm.pairing(spreading(FAST), spreading(SLOW), times=9)
    generator = torch.Generator().manual_seed(0)
    drawn = rm.pairing(spreading(FAST), spreading(SLOW), times=9, method="samples", samples=4000, generator=generator)
    for name, error in drawn.errors._asdict().items():
        assert abs(getattr(drawn, name) - getattr(exact, name)) <= 3 * error + 1e-6, name
    assert drawn.errors.kl_identity < 0.05


def test_a_turned_law_on_the_sphere_keeps_its_entropy_and_loses_its_likeness() -> None:
    """Both paths turn one law; the entropy stays, and KL is that of two wrapped normals a known angle apart."""
    M = rm.Sphere(2)
    axis = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    base = rm.WrappedNormal(M, torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64), 0.5)

    def turning(speed: float) -> rm.FlowPath:
        return rm.FlowPath(lambda t, x: speed * torch.linalg.cross(axis.expand_as(x), x), base=base, solver=PRECISE)

    r = rm.pairing(turning(0.4), turning(-0.1), times=9, degree=50)
    turned = rm.WrappedNormal(M, torch.tensor([math.cos(0.5), math.sin(0.5), 0.0], dtype=torch.float64), 0.5)
    wanted = rm.kl(turned, base, degree=90)
    assert r.kl_identity == pytest.approx(r.kl, abs=r.errors.kl + r.errors.kl_identity + 1e-9)
    assert r.kl == pytest.approx(float(wanted.value), abs=r.errors.kl + float(wanted.error))
    assert abs(r.entropy_rate_p) <= r.errors.entropy_rate_p + 1e-8
    assert r.kl**2 <= r.flow_matching * r.score_matching


def test_entropy_and_divergence_of_normal_laws() -> None:
    p = rm.WrappedNormal(PLANE, torch.zeros(2, dtype=torch.float64), 1.1)
    q = rm.WrappedNormal(PLANE, torch.tensor([0.3, -0.4], dtype=torch.float64), 1.1)
    assert float(rm.entropy(p).value) == pytest.approx(math.log(2 * math.pi * math.e * 1.1**2), abs=1e-9)
    assert float(rm.kl(p, q).value) == pytest.approx(0.25 / (2 * 1.1**2), abs=1e-9)
    generator = torch.Generator().manual_seed(0)
    value, error = rm.kl(p, q, method="samples", samples=20_000, generator=generator)
    assert abs(float(value) - 0.25 / (2 * 1.1**2)) <= 3 * float(error)
    assert float(error) < 0.01


def test_the_divergence_is_infinite_where_the_second_law_has_no_mass() -> None:
    class Half(rm.Distribution):
        manifold = rm.Torus(1)

        def sample(self, shape: tuple[int, ...] = (), **options: object) -> Tensor:
            raise NotImplementedError

        def log_prob(self, x: Tensor) -> Tensor:
            return torch.where(x[..., 0] < math.pi, -math.log(math.pi), -math.inf)

    assert float(rm.kl(rm.Uniform(rm.Torus(1)), Half()).value) == math.inf
    assert float(rm.kl(Half(), rm.Uniform(rm.Torus(1))).value) == pytest.approx(math.log(2), abs=0.05)


@pytest.mark.parametrize("count", [5, 9, 16, 33])
def test_the_time_rule_is_exact_for_polynomials_it_can_see(count: int) -> None:
    t = _time_rule.nodes(count)
    for power in range(count):
        value = _time_rule.integrate(t**power, torch.zeros_like(t)).value
        assert float(value) == pytest.approx(1 / (power + 1), abs=1e-14)


def test_the_time_rule_tells_its_error() -> None:
    for count, rough in ((9, 0.1), (33, 1e-9)):
        t = _time_rule.nodes(count)
        total = _time_rule.integrate(1 / (t + 0.2), torch.zeros_like(t))
        true = abs(float(total.value) - math.log(1.2 / 0.2))
        assert true <= float(total.error) < rough


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p, q: rm.pairing(p, q), "one manifold"),
        (lambda p, q: rm.kl(p.at(1.0), q.at(1.0)), "one manifold"),
        (lambda p, q: rm.pairing(p, p, method="mc"), "unknown method 'mc'"),  # pyright: ignore[reportArgumentType]
        (lambda p, q: rm.pairing(p, p, times=3), "at least 5 times"),
        (lambda p, q: rm.pairing(p, p, samples=1, method="samples"), "at least 2 samples"),
    ],
)
def test_what_cannot_be_paired_is_refused(call: object, message: str) -> None:
    still = rm.FlowPath(lambda t, x: torch.zeros_like(x), base=rm.Uniform(rm.Sphere(2)))
    assert callable(call)
    with pytest.raises(rm.OptionError, match=message):
        call(spreading(FAST), still)


def test_a_density_that_is_nan_is_an_error_that_says_when() -> None:
    class Broken(rm.FlowPath):
        def log_prob_and_score(self, t: float, x: Tensor) -> tuple[Tensor, Tensor]:
            log_prob, score = super().log_prob_and_score(t, x)
            return torch.where(x[..., 0] > 1, math.nan, log_prob) if t > 0.5 else log_prob, score

    p = spreading(FAST)
    with pytest.raises(rm.InputError, match=r"at t=0\.\d+ is NaN at \d+ of"):
        rm.pairing(p, Broken(p.field, p.base), times=9)


def heat_paths(M: rm.Manifold) -> tuple[rm.HeatPath, rm.HeatPath]:
    """Two mixtures under the heat flow, from different means: everything about them is known in closed form."""
    origin = M.origin(dtype=torch.float64)
    v = M.random_tangent(origin.expand(4, *M.point_shape), generator=torch.Generator().manual_seed(0))
    means = M.exp(origin, 0.5 * v)
    weights = torch.tensor([0.6, 0.4], dtype=torch.float64)
    return (
        rm.HeatPath(M, means[:2], weights, start=0.4, end=1.0),
        rm.HeatPath(M, means[2:], weights, start=0.4, end=1.0),
    )


@pytest.mark.parametrize(
    ("M", "degree", "times"),
    [
        (rm.Torus(1), 120, None),
        (rm.Torus(2), 64, None),
        (rm.Sphere(2), 44, None),
        (rm.Lorentz(2), 60, 17),
        pytest.param(rm.PoincareBall(2), 60, 17, marks=pytest.mark.slow),
    ],
    ids=repr,
)
def test_the_identity_holds_to_eight_digits_for_mixtures_under_the_heat_flow(
    M: rm.Manifold, degree: int, times: int | None
) -> None:
    p, q = heat_paths(M)
    r = rm.pairing(p, q, degree=degree, times=times)
    assert r.kl_start > 1.5 * r.kl > 1e-3  # they become alike, but not yet
    assert r.kl_identity == pytest.approx(r.kl, abs=1e-8)
    change = rm.entropy(p.at(1.0), degree=degree).value - rm.entropy(p.at(0.0), degree=degree).value
    assert r.entropy_rate_p == pytest.approx(float(change), abs=1e-8)
    # under one heat flow V - W = -½ s' (∇log p - ∇log q): the bound is reached, the two losses are multiples
    half = 0.5 * 0.6
    assert r.flow_matching == pytest.approx(half**2 * r.score_matching, rel=1e-10)
    assert r.kl_start - r.kl == pytest.approx(half * r.score_matching, abs=1e-8)
    assert len(r.t) > 9
