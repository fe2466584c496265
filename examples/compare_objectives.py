"""Flow matching, score matching and maximum likelihood side by side: the figures of docs/when-to-use-which.md.

Run `python examples/compare_objectives.py`: two minutes for each objective on the airports and half a minute on a
target with a gap, a quarter of an hour with all that follows. It writes `compare-airports.png`, `compare-gap.png` and
`compare-gap-score.png`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import rmatch as rm
from rmatch.paths import ProbabilityFlow
from rmatch.plotting import Entry, plot_comparison, save_figure
from rmatch.plotting.comparison import COLOURS
from rmatch.training import Contender, RunOptions, contend, pair

NAMES = {"flow": "flow matching", "score": "score matching", "kl": "maximum likelihood"}
BANDS = ((1.0, 2.0), (4.0, 5.0))  # of the first angle, in radians; the second angle is uniform


def main(
    budget: float = 120.0, gap_budget: float = 30.0, width: int = 256, folder: Path = Path(), samples: int = 64
) -> dict[str, float]:
    """Train, draw both comparisons and the score in the gap; returns the numbers that the page quotes."""
    airports = rm.datasets.load("airports")
    numbers: dict[str, float] = {}
    found = compare(airports.manifold, airports.points, budget, width)
    draw(
        "airports", airports.manifold, airports.points, found, folder / "compare-airports.png", samples, coastlines=True
    )
    numbers |= report("airports", found)

    M = rm.Torus(2)
    points = banded(4000)
    found = compare(M, points, gap_budget, width)
    draw("two bands", M, points, found, folder / "compare-gap.png", samples)
    numbers |= report("gap", found)
    numbers |= look_into_the_gap(found, folder / "compare-gap-score.png")
    for name, value in numbers.items():
        print(f"{name:<36}{value:>12.4g}")
    return numbers


def compare(M: rm.Manifold, points: Tensor, budget: float, width: int) -> list[Contender]:
    """The same network, rows and time for each objective."""
    rows = rm.datasets.split(len(points), seed=0)
    base = rm.Uniform(M)
    found: list[Contender] = []
    for objective in NAMES:
        options = RunOptions.of({"budget": budget, "width": width, "objective": objective})
        network = rm.TangentMLP.for_data(M, points[rows.train], width=width)
        found.append(contend(network, base, points, rows, options))
    return found


def draw(
    title: str,
    M: rm.Manifold,
    points: Tensor,
    found: Sequence[Contender],
    path: Path,
    samples: int,
    *,
    coastlines: bool = False,
) -> None:
    """The page's picture of one comparison."""
    entries = [
        Entry(
            NAMES[one.objective],
            [seconds for seconds, _ in one.curve],
            [nll for _, nll in one.curve],
            one.step_seconds,
            one.astray,
            one.samples,
        )
        for one in found
    ]
    pairings = [
        (f"flow matching with {NAMES[other.objective]}", pair(found[0], other, samples=samples)) for other in found[1:]
    ]
    rows = rm.datasets.split(len(points), seed=0)
    kernel = rm.KernelDensity.fit(M, points[rows.train], points[rows.validation])
    figure = plot_comparison(
        M,
        entries,
        points=points,
        lines=[
            ("kernel density", -float(kernel.log_prob(points[rows.test]).mean())),
            ("uniform", math.log(M.volume)),
        ],
        pairings=[(name, numbers) for name, numbers in pairings if numbers is not None],
        title=title,
        coastlines=coastlines,
    )
    save_figure(figure, path)


def report(data: str, found: Sequence[Contender]) -> dict[str, float]:
    """Scores, costs and samples gone astray, by name."""
    numbers: dict[str, float] = {}
    for one in found:
        name = f"{data} {one.objective}"
        if one.evaluation is not None:
            numbers[f"{name} NLL"], numbers[f"{name} NLL stderr"] = one.evaluation.nll, one.evaluation.nll_stderr
        numbers[f"{name} steps"] = one.steps
        numbers[f"{name} ms per step"] = 1e3 * one.step_seconds
        if one.astray is not None:
            numbers[f"{name} astray"] = one.astray
    return numbers


def banded(count: int) -> Tensor:
    """Points on T² uniform over two bands, with nothing between: `(count, 2)`."""
    u = torch.rand(count, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    low = torch.where(u[:, 0] < 0.5, BANDS[0][0], BANDS[1][0])
    return torch.stack([low + u[:, 1], 2 * math.pi * u[:, 2]], -1)


def banded_score(angle: Tensor, noise: float) -> tuple[Tensor, Tensor]:
    """Density of the first angle after Brownian motion of variance noise², and the first coordinate of the score.

    A band [a, b] becomes `Φ((b - x)/σ) - Φ((a - x)/σ)`, summed over turns; the derivative is a difference of normal
    densities. The tails are taken on the side where they are small, so that they keep their digits far into the gap.
    """
    density, slope = torch.zeros_like(angle), torch.zeros_like(angle)
    for turn in (-1, 0, 1):
        for a, b in BANDS:
            low, high = ((end + 2 * math.pi * turn - angle) / noise for end in (a, b))
            right = low > 0
            low, high = torch.where(right, -high, low), torch.where(right, -low, high)
            density = density + (torch.erfc(-high / math.sqrt(2)) - torch.erfc(-low / math.sqrt(2))) / 2
            normal = (torch.exp(-low.square() / 2), torch.exp(-high.square() / 2))
            step = (normal[0] - normal[1]) / (noise * math.sqrt(2 * math.pi))
            slope = slope + torch.where(right, -step, step)
    return density / 2, slope / density


def look_into_the_gap(found: Sequence[Contender], path: Path) -> dict[str, float]:
    """How large the targets are, what was learned of the score where p_t is almost 0, and the mass that leaked."""
    from matplotlib.figure import Figure

    angle = torch.linspace(0, 2 * math.pi, 629, dtype=torch.float64)[:-1]
    inside = torch.stack([(angle >= a) & (angle <= b) for a, b in BANDS]).any(0)
    figure = Figure(figsize=(13, 3.8), layout="constrained")
    sizes, scores, densities = figure.subplots(1, 3)
    noises = torch.logspace(0.3, -1.3, 33, dtype=torch.float64)
    largest = [float(banded_score(angle, float(s))[1].abs().max()) for s in noises]
    mean = [float((p * s.square()).sum() / p.sum()) ** 0.5 for p, s in (banded_score(angle, float(n)) for n in noises)]
    sizes.loglog(noises, largest, color=COLOURS[1], label="score: largest, in the gap")
    sizes.loglog(noises, mean, color=COLOURS[1], linestyle="--", label="score: root mean square under p_t")
    sizes.axhline(math.pi * math.sqrt(2), color=COLOURS[0], label="velocity of flow matching: the bound, always")
    sizes.invert_xaxis()
    sizes.set(xlabel="noise σ left at time t", ylabel="size of the target")
    sizes.legend(frameon=False, fontsize=8)

    numbers: dict[str, float] = {}
    _draw_score(scores, found, angle, inside, numbers)
    densities.semilogy(angle, (inside.double() / 2).clamp_min(1e-12), color="#262626", label="the target")
    for one, colour in zip(found, COLOURS, strict=False):
        marginal = _first_angle(one, angle)
        mass = float(marginal[~inside].sum() * 2 * math.pi / len(angle))
        numbers[f"gap {one.objective} mass in the gap"] = mass
        densities.semilogy(angle, marginal, color=colour, label=f"{NAMES[one.objective]}: {mass:.1%} in the gap")
    densities.set(xlabel="first angle (radians)", ylabel="density of the first angle", ylim=(1e-5, 100))
    densities.legend(frameon=False, fontsize=8, loc="upper right")
    save_figure(figure, path)
    return numbers


def _draw_score(
    axes: Any, found: Sequence[Contender], angle: Tensor, inside: Tensor, numbers: dict[str, float]
) -> None:
    """The exact and the learned score along the first angle, late in time, averaged over the second angle."""
    field = next((one.flow.field for one in found if isinstance(one.flow.field, ProbabilityFlow)), None)
    if not isinstance(field, ProbabilityFlow):
        return
    t = math.log(field.diffusion.largest / 0.1) / field.diffusion.decay  # the noise is 0.1 there
    _, exact = banded_score(angle, 0.1)
    with torch.no_grad():
        score = field.score(torch.tensor(t, dtype=torch.float32), _grid(angle, 8).float())
    learned = score[..., 0].double().mean(1)
    error = learned - exact
    numbers["gap score: largest exact, σ = 0.1"] = float(exact.abs().max())
    numbers["gap score: error in the bands"] = float(error[inside].square().mean().sqrt())
    numbers["gap score: error in the gap"] = float(error[~inside].square().mean().sqrt())
    axes.plot(angle, exact, color="#262626", label="exact")
    axes.plot(angle, learned, color=COLOURS[1], label="learned by score matching")
    for a, b in BANDS:
        axes.axvspan(a, b, color="#0f7fa8", alpha=0.15, linewidth=0)
    axes.set(xlabel="first angle (radians)", ylabel="score at noise σ = 0.1, first coordinate")
    axes.legend(frameon=False, fontsize=8)


def _grid(angle: Tensor, rows: int) -> Tensor:
    """Points with these first angles and evenly spread second ones, `(N, rows, 2)`."""
    second = torch.arange(rows, dtype=torch.float64) * 2 * math.pi / rows
    return torch.stack(torch.broadcast_tensors(angle[:, None], second), -1)


def _first_angle(one: Contender, angle: Tensor) -> Tensor:
    """The density of the first angle under a trained flow, `(N,)`."""
    grid = _grid(angle, 8)
    with torch.no_grad():
        values = one.flow.at(1.0).log_prob(grid.reshape(-1, 2).float()).double().exp()
    return values.reshape(grid.shape[:2]).mean(1) * 2 * math.pi


if __name__ == "__main__":
    main()
