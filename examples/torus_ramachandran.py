"""Train a flow on the backbone angles of proteins, points on the torus, and ask it for the share of helices.

Run `python examples/torus_ramachandran.py`; it takes about two minutes on two cores and writes `ramachandran.png`.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

import rmatch as rm


def main(steps: int = 4000, width: int = 256, picture: Path | None = Path("ramachandran.png")) -> tuple[float, float]:
    """Train, score, sample and draw; returns the share of right-handed helices in the data and in the samples."""
    angles = rm.datasets.load("ramachandran")
    M = rm.Torus(2)
    rows = rm.datasets.split(len(angles.points), seed=0)
    x1 = angles.points[rows.train]

    base = rm.Uniform(M)
    field = rm.TangentMLP.for_data(M, x1, width=width)
    rm.fit(field, rm.FlowMatching(rm.GeodesicPath(M), base=base), x1, steps=steps, lr=2e-3, seed=0)

    model = rm.FlowPath(field, base=base).at(1.0)
    with torch.no_grad():
        nll = -float(model.log_prob(angles.points[rows.test][:1000]).mean())
        samples = model.sample((5000,), generator=torch.Generator().manual_seed(0))
    shares = helix_share(x1), helix_share(samples)
    print(f"held-out NLL {nll:.3f} nats (uniform density: {math.log(M.volume):.3f})")
    print(f"right-handed helices: {shares[0]:.1%} of the data, {shares[1]:.1%} of the samples")

    if picture is not None:
        from rmatch.plotting import plot_density, save_figure

        figure = plot_density(
            M, model.log_prob, points=angles.points[:5000], labels=("phi", "psi"), title="Backbone angles"
        )
        save_figure(figure, picture)
    return shares


def helix_share(x: Tensor) -> float:
    """The fraction of points within 40 degrees of (phi, psi) = (-63, -43), the ideal right-handed helix."""
    centre = rm.Torus(2).project(torch.tensor([-63.0, -43.0], dtype=x.dtype).deg2rad())
    return float((rm.Torus(2).dist(centre, x) < math.radians(40)).double().mean())


if __name__ == "__main__":
    main()
