"""Quadrature: exact where it says so, with an error estimate that covers the truth where it is not."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from scipy.special import i0, sph_harm_y
from torch import Tensor

from rmatch._errors import OptionError
from rmatch.manifolds import Euclidean, Manifold, Sphere, Torus

close = torch.testing.assert_close


def sphere_moment(powers: tuple[int, ...]) -> float:
    """∫ Π x_i^{p_i} dV over the unit sphere: 2 Π Γ((p_i + 1)/2) / Γ(Σ (p_i + 1)/2), or 0 with an odd power.

    G. B. Folland, "How to integrate a polynomial over a sphere", American Mathematical Monthly 108 (2001).
    """
    if any(p % 2 for p in powers):
        return 0.0
    halves = [(p + 1) / 2 for p in powers]
    return 2 * math.prod(map(math.gamma, halves)) / math.gamma(sum(halves))


@pytest.mark.parametrize("degree", [1, 2, 5, 12, 25])
def test_two_sphere_rule_integrates_every_harmonic_up_to_its_degree(degree: int) -> None:
    nodes, weights = Sphere(2).quadrature(degree)
    colatitude = np.arccos(np.clip(nodes[:, 2].numpy(), -1, 1))
    azimuth = np.arctan2(nodes[:, 1].numpy(), nodes[:, 0].numpy())
    for order in range(degree + 1):
        for m in range(-order, order + 1):
            value = weights.numpy() @ sph_harm_y(order, m, colatitude, azimuth)
            assert abs(value - (math.sqrt(4 * math.pi) if order == 0 else 0.0)) <= 1e-13


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_sphere_rule_integrates_every_monomial_up_to_its_degree(n: int) -> None:
    degree = 6
    M = Sphere(n)
    assert M.quadrature_is_exact(degree)
    nodes, weights = M.quadrature(degree)
    for powers in product(range(degree + 1), repeat=n + 1):
        if sum(powers) <= degree:
            value = float(weights @ torch.prod(nodes ** torch.tensor(powers), -1))
            assert abs(value - sphere_moment(powers)) <= 1e-13 * M.volume, powers


@pytest.mark.parametrize("d", [1, 2, 3])
def test_torus_rule_integrates_every_wave_up_to_its_degree(d: int) -> None:
    degree = 5
    M = Torus(d)
    nodes, weights = M.quadrature(degree)
    for wave in product(range(-degree, degree + 1), repeat=d):
        value = (weights * torch.exp(1j * (nodes @ torch.tensor(wave, dtype=nodes.dtype)))).sum()
        assert abs(complex(value) - (M.volume if not any(wave) else 0.0)) <= 1e-13 * M.volume


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("degree", [4, 9, 60])
def test_euclidean_rule_has_the_moments_of_the_normal_law(n: int, degree: int) -> None:
    nodes, weights = Euclidean(n).quadrature(degree)
    density = torch.exp(-nodes.square().sum(-1) / 2) / (2 * math.pi) ** (n / 2)
    for power in range(0, min(degree, 12) + 1, 2):
        odd_factorial = math.prod(range(1, power, 2))
        value = weights @ (density * nodes[:, 0] ** power)
        close(value, torch.tensor(float(odd_factorial), dtype=torch.float64), rtol=1e-11, atol=0)
    assert abs(float(weights @ (density * nodes[:, 0] ** 3))) <= 1e-11


def test_euclidean_rule_reaches_far_enough_for_a_wide_and_for_a_shifted_normal_law() -> None:
    for scale, shift in ((0.7, 0.0), (1.5, 0.0), (1.0, 2.0)):
        total = Euclidean(1).integrate(
            lambda x, s=scale, m=shift: torch.exp(-((x[..., 0] - m) ** 2) / (2 * s * s)) / (s * math.sqrt(2 * math.pi)),
            degree=120,
        )
        assert abs(float(total) - 1) <= 1e-8


@pytest.mark.parametrize("M", [Sphere(1), Sphere(2), Sphere(3), Sphere(15), Torus(1), Torus(3), Torus(5)], ids=repr)
def test_weights_are_positive_and_add_up_to_the_volume(M: Manifold) -> None:
    nodes, weights = M.quadrature(12)
    assert nodes.shape == (len(weights), *M.point_shape)
    assert M.check_point(nodes) is None
    assert bool((weights > 0).all())
    close(weights.sum(), torch.tensor(M.volume, dtype=torch.float64), rtol=1e-13, atol=0)


def test_two_sphere_at_high_degree_still_has_accurate_weights() -> None:
    """∫ exp(10 z) dV = 4π sinh(10)/10."""
    value = Sphere(2).integrate(lambda x: torch.exp(10 * x[..., 2]), degree=300)
    close(value, torch.tensor(4 * math.pi * math.sinh(10) / 10, dtype=torch.float64), rtol=1e-13, atol=0)


def first_square(x: Tensor) -> Tensor:
    return x[..., 0] ** 2


CLOSED = [
    (Sphere(15), first_square, Sphere(15).volume / 16),
    (Sphere(15), lambda x: x[..., 2].exp(), Sphere(15).volume * sum(
        math.gamma(8) / (4**k * math.factorial(k) * math.gamma(8 + k)) for k in range(20)
    )),
    (Torus(5), lambda x: torch.exp(x.cos().sum(-1) / 2), (2 * math.pi * float(i0(0.5))) ** 5),
    (Euclidean(5), lambda x: torch.exp(-0.6 * x.square().sum(-1)), (math.pi / 0.6) ** 2.5),
]  # fmt: skip


@pytest.mark.parametrize(("M", "f", "wanted"), CLOSED, ids=["S15 x1^2", "S15 exp", "T5 exp cos", "R5 gauss"])
def test_quasi_monte_carlo_error_covers_the_truth(M: Manifold, f: object, wanted: float) -> None:
    """Eight scramblings give a t-law with seven degrees of freedom: 5.4 standard errors hold 99.9 % of it."""
    assert not M.quadrature_is_exact(60)
    value, error = M.integrate(f, with_error=True)  # type: ignore[call-overload]
    assert 0 < float(error) <= 1e-2 * wanted
    assert abs(float(value) - wanted) <= 5.4 * float(error)
    finer = M.integrate(f, degree=240, with_error=True)  # type: ignore[call-overload]
    assert float(finer.error) < float(error)


def test_error_of_a_spectral_rule_is_the_distance_to_a_coarser_one() -> None:
    M = Sphere(2)
    rough = M.integrate(lambda x: torch.exp(8 * x[..., 0]), degree=12, with_error=True)
    truth = 4 * math.pi * math.sinh(8) / 8
    assert abs(float(rough.value) - truth) <= float(rough.error) <= 0.2 * truth
    fine = M.integrate(lambda x: torch.exp(8 * x[..., 0]), degree=60, with_error=True)
    assert float(fine.error) <= 1e-12 * truth
    assert float(M.integrate(lambda x: x[..., 0] * 0 + 1, degree=4)) == pytest.approx(4 * math.pi, rel=1e-14)


@pytest.mark.parametrize("M", [Sphere(2), Sphere(15), Torus(2), Torus(5), Euclidean(2), Euclidean(5)], ids=repr)
def test_rules_are_the_same_every_time_and_come_in_the_dtype_asked_for(M: Manifold) -> None:
    state = torch.get_rng_state()
    nodes, weights = M.quadrature(8)
    assert torch.equal(state, torch.get_rng_state())
    again = M.quadrature(8)
    assert torch.equal(nodes, again.nodes)
    assert torch.equal(weights, again.weights)
    assert nodes.dtype == weights.dtype == torch.float64
    single = M.quadrature(8, dtype=torch.float32)
    assert single.nodes.dtype == single.weights.dtype == torch.float32
    close(single.nodes.double(), nodes, rtol=1e-6, atol=1e-6)


def test_integrand_is_called_on_blocks_that_fit_in_memory() -> None:
    sizes: list[int] = []

    def f(x: Tensor) -> Tensor:
        sizes.append(len(x))
        return x[..., 0] ** 2

    close(Sphere(3).integrate(f, degree=100), torch.tensor(math.pi**2 / 2, dtype=torch.float64), rtol=1e-12, atol=0)
    assert sum(sizes) == 51 * 51 * 101
    assert max(sizes) <= 1 << 16


@pytest.mark.parametrize("M", [Sphere(2), Sphere(15), Torus(2), Torus(5), Euclidean(2), Euclidean(5)], ids=repr)
@pytest.mark.parametrize("degree", [0, -3])
def test_a_degree_below_one_is_refused(M: Manifold, degree: int) -> None:
    with pytest.raises(OptionError, match=f"at least 1, got degree={degree}"):
        M.quadrature(degree)
