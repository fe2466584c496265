"""Train a flow on the world's airports, a table of points on the sphere, and use it as a distribution.

Run `python examples/sphere_airports.py`; it takes about two minutes on two cores and writes `airports.png`.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch

import rmatch as rm


def main(steps: int = 4000, width: int = 256, picture: Path | None = Path("airports.png")) -> float:
    """Train, score and draw; returns the negative log-likelihood of held-out airports in nats."""
    airports = rm.datasets.load("airports")
    M = rm.Sphere(2)
    rows = rm.datasets.split(len(airports.points), seed=0)
    x1 = airports.points[rows.train]

    # The field is tangent to the sphere by construction and sees the data at the scales that the data has.
    base = rm.Uniform(M)
    field = rm.TangentMLP.for_data(M, x1, width=width)
    objective = rm.FlowMatching(rm.GeodesicPath(M), base=base)
    rm.fit(field, objective, x1, steps=steps, batch_size=512, lr=2e-3, seed=0)

    # What it generates is a path of densities; at time 1 it is the model of the data.
    model = rm.FlowPath(field, base=base).at(1.0)
    with torch.no_grad():
        nll = -float(model.log_prob(airports.points[rows.test]).mean())
        samples = model.sample((5,), generator=torch.Generator().manual_seed(0))
    print(f"held-out NLL {nll:.3f} nats (uniform density: {math.log(M.volume):.3f})")
    print("five places that could have an airport (latitude, longitude):")
    for latitude, longitude in airports.to_table(samples.double()):
        print(f"  {latitude:8.3f} {longitude:8.3f}")

    if picture is not None:
        from rmatch.plotting import plot_density, save_figure

        save_figure(plot_density(M, model.log_prob, points=airports.points, title="Airports"), picture)
    return nll


if __name__ == "__main__":
    main()
