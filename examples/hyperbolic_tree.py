"""Train a flow on the leaves of a tree in the hyperbolic plane, and draw new leaves from it.

Hyperbolic space has room for trees: the area of a disc grows exponentially with its radius, as the number of leaves
does with the depth. Run `python examples/hyperbolic_tree.py`; it takes a few minutes on two cores and writes
`tree.png`.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

import rmatch as rm


def main(
    steps: int = 3000, width: int = 192, picture: Path | None = Path("tree.png"), rows_of_grid: int = 96
) -> tuple[float, float]:
    """Train, score, sample and draw; returns the held-out score of the flow and that of its base law, in nats."""
    M = rm.PoincareBall(2)
    leaves = tree(M, depth=3, count=3000, seed=0)
    rows = rm.datasets.split(len(leaves), seed=0)
    x1 = leaves[rows.train]

    # There is no uniform law on infinite area: the flow starts from a wrapped normal law that is as wide as the data.
    base = rm.default_base(M, x1)
    field = rm.TangentMLP.for_data(M, x1, width=width)
    rm.fit(field, rm.FlowMatching(rm.GeodesicPath(M), base=base), x1, steps=steps, lr=2e-3, seed=0)

    model = rm.FlowPath(field, base=base).at(1.0)
    held_out = leaves[rows.test].float()
    with torch.no_grad():
        scores = -float(model.log_prob(held_out).mean()), -float(base.log_prob(held_out).mean())
        samples = model.sample((3000,), generator=torch.Generator().manual_seed(0))
    print(f"held-out NLL {scores[0]:.3f} nats (the base law: {scores[1]:.3f})")
    print(f"samples that lie within 0.5 of a leaf: {near_share(M, samples.double(), leaves):.1%}")

    if picture is not None:
        from rmatch.plotting import plot_density, save_figure

        title = "The leaves of a tree in the hyperbolic plane"
        quick = rm.FlowPath(field, base=base, solver=rm.DormandPrince(1e-3, 1e-3)).at(1.0)  # a third of the time
        figure = plot_density(M, quick.log_prob, points=leaves, samples=samples, title=title, resolution=rows_of_grid)
        save_figure(figure, picture)
    return scores


def tree(M: rm.PoincareBall, *, depth: int, count: int, seed: int) -> Tensor:
    """Leaves of a binary tree with edges of length 1, each a little off its place: `(count, 2)`."""
    generator = torch.Generator().manual_seed(seed)
    node = torch.zeros(count, 2, dtype=torch.float64)
    direction = 2 * math.pi * torch.randint(3, (count,), generator=generator) / 3  # three branches leave the root
    for level in range(depth):
        start, step = node, torch.stack([direction.cos(), direction.sin()], -1).double()
        node = M.exp(start, step / M.norm(start, step).unsqueeze(-1))
        # The branch goes on in the direction in which it arrives, half of the twigs to either side.
        arriving = -M.log(node, start)
        side = torch.randint(2, (count,), generator=generator) * 2 - 1
        direction = torch.atan2(arriving[:, 1], arriving[:, 0]) + side * math.pi / (3 + level)
    return M.exp(node, 0.15 * M.random_tangent(node, generator=generator))


def near_share(M: rm.PoincareBall, samples: Tensor, leaves: Tensor) -> float:
    """The fraction of samples that have a leaf within the distance 0.5."""
    distances = M.dist(samples[:500, None], leaves[None, :1000])
    return float((distances.min(1).values < 0.5).double().mean())


if __name__ == "__main__":
    main()
