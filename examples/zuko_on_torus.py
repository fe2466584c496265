"""Train a normalizing flow of another library by KL: zuko's circular splines on the backbone angles of proteins.

Any model with a `log_prob` can be trained by `MaximumLikelihood`, and compared with a flow in the same numbers.

Run `python examples/zuko_on_torus.py`; it takes about a minute on two cores.
"""

from __future__ import annotations

import math

import torch
import zuko
from torch import Tensor, nn

import rmatch as rm


class CircularSplineFlow(nn.Module):
    """Angles in [0, 2π) through zuko's neural circular spline flow, whose features lie in [-π, π)."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.flow = zuko.flows.NCSF(features=2, transforms=3, bins=16, hidden_features=(64, 64))

    def log_prob(self, x: Tensor) -> Tensor:
        return self.flow().log_prob(x - math.pi)


def main(steps: int = 1500) -> tuple[float, float]:
    """Train; returns the mass of the density, by quadrature, and the held-out NLL in nats."""
    angles = rm.datasets.load("ramachandran")
    M = rm.Torus(2)
    rows = rm.datasets.split(len(angles.points), seed=0)
    model = CircularSplineFlow()
    rm.fit(model, rm.MaximumLikelihood(), angles.points[rows.train], steps=steps, lr=2e-3, seed=0)

    with torch.no_grad():
        nodes, weights = M.quadrature(degree=200)
        mass = float((weights * model.log_prob(nodes.float()).exp()).sum())
        nll = -float(model.log_prob(angles.points[rows.test][:5000].float()).mean())
    print(f"mass {mass:.4f}, held-out NLL {nll:.3f} nats (uniform density: {math.log(M.volume):.3f})")
    return mass, nll


if __name__ == "__main__":
    main()
