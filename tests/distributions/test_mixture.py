"""Mixtures: the weighted sum of densities, the posterior mean of scores, parts drawn as often as they weigh."""

import math

import pytest
import torch
from scipy import stats
from torch import Tensor

import rmatch as rm
from rmatch.distributions import Mixture, Uniform, VonMisesFisher, WrappedNormal
from rmatch.manifolds import Euclidean, Manifold, Sphere, Torus

F64 = torch.float64
MEMBERS: list[Manifold] = [Sphere(2), Torus(2), Euclidean(3)]


def some_points(M: Manifold, rows: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return M.project(torch.randn(rows, *M.point_shape, generator=generator, dtype=F64) * 2)


def three_lumps(M: Manifold) -> Mixture:
    means = some_points(M, 3, 5)
    return Mixture([WrappedNormal(M, mean, 0.3 + 0.2 * k) for k, mean in enumerate(means)], [1.0, 2.0, 5.0])


@pytest.mark.parametrize("M", MEMBERS, ids=repr)
def test_the_density_is_the_weighted_sum_of_the_densities(M: Manifold) -> None:
    law, x = three_lumps(M), some_points(M, 10)
    expected = sum(w * part.log_prob(x).exp() for w, part in zip((0.125, 0.25, 0.625), law.components, strict=True))
    torch.testing.assert_close(law.log_prob(x).exp(), torch.as_tensor(expected), rtol=1e-13, atol=0)


def test_the_normal_mixture_of_torch_in_space() -> None:
    law, x = three_lumps(Euclidean(3)), some_points(Euclidean(3), 10)
    means = some_points(Euclidean(3), 3, 5)
    scales = torch.tensor([0.3, 0.5, 0.7], dtype=F64)
    parts = torch.distributions.Independent(torch.distributions.Normal(means, scales.unsqueeze(-1)), 1)
    choice = torch.distributions.Categorical(torch.tensor([1.0, 2.0, 5.0], dtype=F64))
    expected = torch.distributions.MixtureSameFamily(choice, parts).log_prob(x)
    torch.testing.assert_close(law.log_prob(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("M", MEMBERS, ids=repr)
def test_the_closed_score_is_the_gradient_of_the_log_density(M: Manifold) -> None:
    law, x = three_lumps(M), some_points(M, 10)
    torch.testing.assert_close(law.score(x), M.gradient(law.log_prob)(x), rtol=1e-11, atol=1e-12)


def test_far_from_all_parts_the_score_is_finite_although_every_density_underflows() -> None:
    M = Euclidean(1)
    law = Mixture([WrappedNormal(M, torch.tensor([m], dtype=F64), 0.1) for m in (0.0, 1.0)])
    x = torch.tensor([101.0], dtype=F64)  # exp(-500000) from the nearer part
    assert float(law.score(x)) == pytest.approx(-100 / 0.01)


def test_samples_come_from_the_parts_as_often_as_they_weigh() -> None:
    M = Sphere(2)
    poles = torch.cat([torch.eye(3, dtype=F64), -torch.eye(3, dtype=F64)])
    law = Mixture([VonMisesFisher(M, pole, 1e4) for pole in poles], torch.tensor([1, 2, 3, 4, 0, 6]))
    x = law.sample((8000,), generator=torch.Generator().manual_seed(0))
    counts = torch.bincount((x @ poles.T).argmax(-1), minlength=6).tolist()
    assert counts[4] == 0
    expected = [8000 * w / 16 for w in (1, 2, 3, 4, 6)]
    assert stats.chisquare(counts[:4] + counts[5:], expected).pvalue > 1e-3


def test_samples_of_one_part_are_spread_over_the_batch() -> None:
    """The rows keep no trace of the part that they came from: which part made a row is independent of its place."""
    M = Torus(1)
    law = Mixture([WrappedNormal(M, torch.tensor([m], dtype=F64), 0.1) for m in (1.0, 4.0)])
    second = law.sample((40, 100), generator=torch.Generator().manual_seed(0))[..., 0] > 2.5
    assert stats.kstest(second.flatten().nonzero().squeeze(-1).numpy() / 4000, "uniform").pvalue > 1e-3


def test_equal_weights_are_the_default_and_types_follow_the_request() -> None:
    M = Sphere(2)
    law = Mixture([Uniform(M), Uniform(M)])
    assert law.weights.tolist() == [0.5, 0.5]
    x = law.sample((2, 3), generator=torch.Generator().manual_seed(0), dtype=F64)
    assert x.dtype == law.log_prob(x).dtype == F64
    torch.testing.assert_close(law.log_prob(x), torch.full((2, 3), -math.log(4 * math.pi), dtype=F64))


def test_it_works_inside_vmap() -> None:
    law, x = three_lumps(Sphere(2)), some_points(Sphere(2), 5)
    torch.testing.assert_close(torch.vmap(law.log_prob)(x), law.log_prob(x), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(torch.vmap(law.score)(x), law.score(x), rtol=1e-12, atol=1e-12)


def test_what_cannot_be_used_is_refused() -> None:
    part = Uniform(Sphere(2))
    with pytest.raises(rm.OptionError, match="at least one component"):
        Mixture([])
    with pytest.raises(rm.OptionError, match=r"component 0 is on Sphere\(2\) and component 1 on Torus\(2\)"):
        Mixture([part, Uniform(Torus(2))])
    with pytest.raises(rm.ShapeError, match=r"2 components take weights of shape \(2,\), got \(3,\)"):
        Mixture([part, part], [1.0, 1.0, 1.0])
    for weights in ([1.0, -0.1], [0.0, 0.0], [math.nan, 1.0], [math.inf, 1.0]):
        with pytest.raises(rm.OptionError, match="finite, not negative and not all 0"):
            Mixture([part, part], weights)
