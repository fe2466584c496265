"""Train a flow on the backbone angles of proteins, points on the torus, and check what geometry promises of it.

Run `python examples/torus_ramachandran.py`; it takes about two minutes on two cores and writes `ramachandran.png`.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch

import rmatch as rm


def main(steps: int = 4000, picture: Path | None = Path("ramachandran.png"), degree: int = 100) -> float:
    """Train, score, integrate and draw; returns the mass of the density, which should be 1."""
    angles = rm.datasets.load("ramachandran")
    M = rm.Torus(2)
    rows = rm.datasets.split(len(angles.points), seed=0)
    x1 = angles.points[rows.train]

    base = rm.Uniform(M)
    field = rm.TangentMLP.for_data(M, x1)
    rm.fit(field, rm.FlowMatching(rm.GeodesicPath(M), base=base), x1, steps=steps, lr=2e-3, seed=0)

    model = rm.FlowPath(field, base=base).at(1.0)
    with torch.no_grad():
        nll = -float(model.log_prob(angles.points[rows.test][:2000]).mean())
        # The trapezoid rule is spectrally accurate on the torus: the mass shows that the likelihood is one.
        mass = float(M.integrate(lambda x: model.log_prob(x).exp(), degree=degree))
    print(f"held-out NLL {nll:.3f} nats (uniform density: {math.log(M.volume):.3f}); mass {mass:.6f}")

    if picture is not None:
        from rmatch.plotting import plot_density, save_figure

        figure = plot_density(
            M, model.log_prob, points=angles.points[:5000], labels=("phi", "psi"), title="Backbone angles"
        )
        save_figure(figure, picture)
    return mass


if __name__ == "__main__":
    main()
