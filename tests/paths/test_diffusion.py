"""The diffusion path: with the exact score, its flow and its reverse walk lead from noise to data."""

import math

import pytest
import torch
from torch import Tensor

import rmatch as rm

PRECISE = rm.DormandPrince(rtol=1e-6, atol=1e-6)


def means(M: rm.Manifold) -> Tensor:
    return rm.WrappedNormal(M, M.origin(dtype=torch.float64), 1.0).sample(
        (3,), generator=torch.Generator().manual_seed(2)
    )


def noised(diffusion: rm.Diffusion, t: float) -> rm.Mixture:
    time = float(diffusion.noise(torch.tensor(t, dtype=torch.float64))) ** 2
    return rm.Mixture([rm.HeatKernel(diffusion.manifold, m, time) for m in means(diffusion.manifold)])


def exact_score(diffusion: rm.Diffusion) -> rm.VectorField:
    return lambda t, x: noised(diffusion, float(t)).score(x)


@pytest.mark.parametrize("M", [rm.Torus(2), rm.Sphere(2), rm.Euclidean(2)], ids=repr)
def test_the_flow_of_the_exact_score_has_the_law_of_the_noised_data(M: rm.Manifold) -> None:
    diffusion = rm.Diffusion(M, smallest=0.4, largest=2.0)
    start = noised(diffusion, 0.0)
    flow = rm.FlowPath(rm.ProbabilityFlow(exact_score(diffusion), diffusion), base=start, solver=PRECISE)
    x = noised(diffusion, 0.7).sample((6,), generator=torch.Generator().manual_seed(0))
    for t in (0.3, 1.0):
        torch.testing.assert_close(flow.log_prob(t, x), noised(diffusion, t).log_prob(x), rtol=1e-5, atol=1e-5)


COMPACT = [rm.Sphere(2), rm.Torus(2), rm.Sphere(3, radius=2.0), rm.Torus(2, periods=(1.0, 5.0))]


@pytest.mark.parametrize("M", COMPACT, ids=repr)
def test_a_diffusion_starts_from_the_uniform_law(M: rm.Manifold) -> None:
    """What is left is the slowest mode, e^-6 times what it was: less than 8 e^-6 (4 on S³, 3 on S², 2 an angle)."""
    diffusion = rm.Diffusion(M)
    assert diffusion.base.__class__ is rm.Uniform
    x = rm.Uniform(M).sample((200,), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gap = noised(diffusion, 0.0).log_prob(x) + math.log(M.volume)
    assert 1e-4 < float(gap.abs().max()) < 8 * math.exp(-6)  # as even as promised, and no more noise than that


SLOW = [(rm.Sphere(2), 2.0), (rm.Torus(1), 1.0), (rm.SpecialOrthogonal(3), 2.0), (rm.Sphere(3, radius=2.0), 0.75)]


@pytest.mark.parametrize(("M", "eigenvalue"), SLOW, ids=lambda value: repr(value))
def test_late_scores_of_heat_kernels_decay_like_their_size(M: rm.Manifold, eigenvalue: float) -> None:
    """For long times the score is that of the slowest mode, e^{-λ s/2}: the size times σ falls by the same factor."""
    diffusion = rm.Diffusion(M, smallest=0.1, largest=9.0 / math.sqrt(eigenvalue))
    mean = means(M)[0]
    t = torch.tensor([0.10, 0.12], dtype=torch.float64)
    noise, size = diffusion.noise(t), diffusion.score_size(t)
    x = means(M)[1]
    early, late = (rm.HeatKernel(M, mean, float(s) ** 2).score(x) for s in noise)
    ratio = float(M.norm(x, late) / M.norm(x, early))
    assert ratio == pytest.approx(float(size[1] * noise[1] / (size[0] * noise[0])), rel=1e-4)


@pytest.mark.parametrize("M", [rm.Torus(1), rm.Sphere(2)], ids=repr)
def test_the_reverse_walk_of_the_exact_score_samples_the_data(M: rm.Manifold) -> None:
    diffusion = rm.Diffusion(M, smallest=0.3, largest=3.0)
    x = diffusion.sample_reverse(exact_score(diffusion), (2000,), steps=40, generator=torch.Generator().manual_seed(1))
    wanted = noised(diffusion, 1.0).sample((20_000,), generator=torch.Generator().manual_seed(2))
    for m in means(M):
        for radius in (0.3, 0.6, 1.2):
            share = [float((M.dist(y, m) < radius).double().mean()) for y in (x.double(), wanted)]
            assert abs(share[0] - share[1]) < 0.06  # four standard errors, and a bias of the order of a step


def test_noised_samples_carry_the_score_of_their_kernel() -> None:
    M = rm.Sphere(2)
    diffusion = rm.Diffusion(M, smallest=0.3)
    x1 = means(M)[0].expand(50, 3)
    t = torch.linspace(0, 1, 50, dtype=torch.float64)
    x_t, score = diffusion.sample(t, x1, generator=torch.Generator().manual_seed(0))
    for k in (0, 20, 49):
        kernel = rm.HeatKernel(M, x1[k], float(diffusion.noise(t[k])) ** 2)
        torch.testing.assert_close(score[k], kernel.score(x_t[k]), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("M", "eigenvalue"), [(rm.Torus(2), 1.0), (rm.Euclidean(2), 0.0)], ids=repr)
def test_a_score_model_multiplies_by_the_size_of_the_score(M: rm.Manifold, eigenvalue: float) -> None:
    diffusion = rm.Diffusion(M, smallest=0.1)
    network = torch.nn.Module()
    network.forward = lambda t, x: torch.ones_like(x)  # pyright: ignore[reportAttributeAccessIssue]
    model = rm.ScoreModel(network, diffusion)
    x, t = torch.zeros(3, 2), torch.tensor([0.0, 0.5, 1.0])
    noise = diffusion.noise(t)
    torch.testing.assert_close(model(t, x)[:, 0], torch.exp(-eigenvalue * noise.square() / 2) / noise)
    torch.testing.assert_close(model(1.0, x), torch.full((3, 2), 10.0 * math.exp(-eigenvalue * 0.005)))


@pytest.mark.parametrize("noises", [(0.0, 1.0), (1.0, 0.5), (0.1, math.inf)])
def test_noises_that_do_not_fall_are_refused(noises: tuple[float, float]) -> None:
    with pytest.raises(rm.OptionError, match="0 < smallest < largest"):
        rm.Diffusion(rm.Torus(1), smallest=noises[0], largest=noises[1])
