"""The three losses of score matching against the explicit one, by quadrature over finite data."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import rmatch as rm

MEMBERS = [rm.Torus(1), rm.Sphere(2)]


class Data:
    """A few data points, the law that noise makes of them, and a family of wrong scores."""

    def __init__(self, manifold: rm.Manifold) -> None:
        self.manifold = manifold
        self.points = rm.Uniform(manifold).sample((4,), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        self.diffusion = rm.Diffusion(manifold, smallest=0.3, largest=3.0)
        self.times = torch.linspace(0.05, 0.95, 4, dtype=torch.float64)

    def law(self, t: float) -> rm.Distribution:
        time = float(self.diffusion.noise(torch.tensor(t, dtype=torch.float64))) ** 2
        kernels = [rm.HeatKernel(self.manifold, m, time) for m in self.points]
        return rm.Mixture(kernels, torch.full((len(kernels),), 0.25, dtype=torch.float64))

    def guess(self, a: float) -> Callable[[Tensor, Tensor], Tensor]:
        """A smooth tangent field, a times the gradient of a wave in the features, stronger at late times."""
        M = self.manifold

        def field(t: Tensor, x: Tensor) -> Tensor:
            wave = M.to_tangent(x, (2 * x + 1).cos())
            strength = a * (1 + t)
            return strength.unsqueeze(-1) * wave if strength.dim() else strength * wave

        return field


def exact_losses(data: Data, a: float) -> dict[str, float]:
    """∫ σ² E over t on a grid, each expectation by quadrature: the explicit loss, denoising and implicit."""
    M, field = data.manifold, data.guess(a)
    nodes, weights = M.quadrature(degree=40)
    totals = {"explicit": 0.0, "denoising": 0.0, "implicit": 0.0}
    for t in data.times:
        law, sigma2 = data.law(float(t)), float(data.diffusion.noise(t)) ** 2
        score = field(t, nodes)

        def mean(density: Tensor, v: Tensor, sigma2: float = sigma2) -> float:
            return sigma2 * float((weights * density * M.inner(nodes, v, v)).sum()) / len(data.times)

        totals["explicit"] += mean(law.log_prob(nodes).exp(), score - law.score(nodes))
        for m in data.points:
            kernel = rm.HeatKernel(M, m, sigma2)
            totals["denoising"] += mean(kernel.log_prob(nodes).exp(), score - kernel.score(nodes)) / len(data.points)
        divergence = M.divergence(lambda x, t=t: field(t, x))(nodes)
        terms = M.inner(nodes, score, score) + 2 * divergence
        totals["implicit"] += sigma2 * float((weights * law.log_prob(nodes).exp() * terms).sum()) / len(data.times)
    return totals


@pytest.mark.parametrize("M", MEMBERS, ids=repr)
def test_denoising_and_implicit_score_matching_are_the_explicit_loss_up_to_a_constant(M: rm.Manifold) -> None:
    data = Data(M)
    here, there = exact_losses(data, 0.2), exact_losses(data, -0.5)
    for name in ("denoising", "implicit"):
        assert here[name] - there[name] == pytest.approx(here["explicit"] - there["explicit"], abs=1e-9)


@pytest.mark.parametrize("M", MEMBERS, ids=repr)
@pytest.mark.parametrize("method", ["denoising", "implicit", "sliced"])
def test_the_losses_estimate_these_integrals(M: rm.Manifold, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data, field = Data(M), Data(M).guess(0.3)
    objective = rm.ScoreMatching(data.diffusion, method)  # pyright: ignore[reportArgumentType]
    rows = 6000
    grid = data.times.repeat_interleave(rows // len(data.times))
    monkeypatch.setattr(objective, "_times", lambda *given: grid)  # the times of the integrals, in place of random ones
    x1 = data.points.repeat(rows // 4, 1)
    values = []
    with torch.no_grad():
        for seed in range(4):
            values.append(float(objective(field, x1, torch.Generator().manual_seed(seed))))
    mean = sum(values) / 4
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / 3)
    wanted = exact_losses(data, 0.3)["denoising" if method == "denoising" else "implicit"]
    assert abs(mean - wanted) <= 6 * spread / 2 + 1e-3 * abs(wanted)
    assert spread < 0.2 * abs(wanted) + 0.05


def test_the_weights_and_times_are_those_that_were_asked_for() -> None:
    data = Data(rm.Torus(1))
    plain = rm.ScoreMatching(data.diffusion, weighting=lambda t: torch.full_like(t, 3.0))
    single = rm.ScoreMatching(data.diffusion, weighting=torch.ones_like)
    x1 = data.points[:1].expand(64, -1)
    losses = [float(o(data.guess(0.1), x1, torch.Generator().manual_seed(0))) for o in (plain, single)]
    assert losses[0] == pytest.approx(3 * losses[1], rel=1e-12)
    times = single._times(100, x1, torch.Generator().manual_seed(0))
    assert torch.equal((times * 100).floor(), torch.arange(100.0, dtype=torch.float64))


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(rm.OptionError, match="unknown method 'noisy'"):
        rm.ScoreMatching(rm.Diffusion(rm.Torus(1)), "noisy")  # pyright: ignore[reportArgumentType]


def test_training_by_score_matching_finds_the_clusters() -> None:
    M = rm.Torus(1)
    generator = torch.Generator().manual_seed(0)
    means = [torch.tensor([m], dtype=torch.float64) for m in (1.0, 4.0)]
    x1 = torch.cat([rm.WrappedNormal(M, m, 0.3).sample((500,), generator=generator) for m in means])
    diffusion = rm.Diffusion(M, smallest=0.05)
    score = rm.ScoreModel(rm.TangentMLP(M, width=32, depth=2, harmonics=3, frequencies=()), diffusion)
    rm.fit(score, rm.ScoreMatching(diffusion), x1, steps=400, batch_size=256, lr=5e-3)
    with torch.no_grad():
        q = diffusion.flow(score).at(1.0)
        nll = -float(q.log_prob(x1[::10].float()).mean())
        mass = float(M.integrate(lambda x: q.log_prob(x).exp(), degree=600))
        walks = diffusion.sample_reverse(score, (2000,), generator=torch.Generator().manual_seed(1))
    best = math.log(2) + 0.5 * math.log(2 * math.pi * math.e * 0.3**2)  # entropy of two clusters that hardly overlap
    assert nll < best + 0.15
    assert mass == pytest.approx(1.0, abs=1e-3)
    near = [float((M.dist(walks, m.float()) < 0.9).double().mean()) for m in means]  # three standard deviations
    assert all(abs(share - 0.5) < 0.06 for share in near)
