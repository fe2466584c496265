"""Train a flow on rotations: poses of an object with a symmetry, which no single rotation describes.

A square plate that is turned by 90 degrees about its axis looks the same, so each pose that an algorithm reports may be
any of four. Their density on SO(3) has four modes, and a mean of them means nothing. Run
`python examples/rotations.py`; it takes a few minutes on two cores and writes `rotations.png`.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

import rmatch as rm


def main(steps: int = 3000, width: int = 192, picture: Path | None = Path("rotations.png")) -> tuple[float, Tensor]:
    """Train, score, sample and draw; returns the held-out score in nats and the share of samples at each pose."""
    M = rm.SpecialOrthogonal(3)
    poses = symmetric_poses(M)
    x = noisy(M, poses, count=4000, spread=0.15, seed=0)
    rows = rm.datasets.split(len(x), seed=0)
    x1 = x[rows.train]

    base = rm.Uniform(M)
    field = rm.TangentMLP.for_data(M, x1, width=width)
    rm.fit(field, rm.FlowMatching(rm.GeodesicPath(M), base=base), x1, steps=steps, lr=2e-3, seed=0)

    model = rm.FlowPath(field, base=base).at(1.0)
    with torch.no_grad():
        nll = -float(model.log_prob(x[rows.test].float()).mean())
        samples = model.sample((2000,), generator=torch.Generator().manual_seed(0))
    # A sample belongs to the pose that is nearest, in degrees of rotation, if that is within 40.
    angles = M.dist(samples[:, None].double(), poses).rad2deg()
    shares = ((angles < 40) & (angles == angles.min(1, keepdim=True).values)).double().mean(0)
    print(f"held-out NLL {nll:.3f} nats (uniform density: {math.log(M.volume):.3f})")
    print("share of the samples at each of the four poses:", ", ".join(f"{share:.1%}" for share in shares.tolist()))

    if picture is not None:
        from rmatch.plotting import plot_density, save_figure

        title = "Poses of a square plate"
        save_figure(plot_density(M, model.log_prob, points=x[:2000], samples=samples, title=title), picture)
    return nll, shares


def symmetric_poses(M: rm.SpecialOrthogonal) -> Tensor:
    """The four rotations that look alike, a quarter turn about z apart: `(4, 3, 3)`."""
    tilt = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, -0.6], [0.0, 0.6, 0.0]], dtype=torch.float64)
    turn = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    identity = M.origin(dtype=torch.float64)
    quarter = [M.exp(identity, (0.25 + 0.5 * k) * math.pi * turn) for k in range(4)]
    return torch.stack([M.exp(identity, tilt) @ rotation for rotation in quarter])


def noisy(M: rm.SpecialOrthogonal, poses: Tensor, *, count: int, spread: float, seed: int) -> Tensor:
    """Rotations off a pose by a normal vector of the tangent space: `(count, 3, 3)`."""
    generator = torch.Generator().manual_seed(seed)
    x = poses[torch.randint(len(poses), (count,), generator=generator)]
    return M.exp(x, spread * M.random_tangent(x, generator=generator))


if __name__ == "__main__":
    main()
