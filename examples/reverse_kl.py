"""Sample from densities that are only known up to a constant: four bumps on the sphere, and the XY model of magnetism.

No data are needed: `ReverseKL` draws from the flow itself and pulls it towards the density. The effective sample size
says which fraction of the flow's samples count as samples of the target.

Run `python examples/reverse_kl.py`; it takes about six minutes on one core.
"""

from __future__ import annotations

import torch
from torch import Tensor

import rmatch as rm

ROWS, COLUMNS = 2, 4


def four_bumps(x: Tensor) -> Tensor:
    """Four von Mises–Fisher bumps of concentration 10 on S², without their normaliser."""
    modes = rm.Uniform(rm.Sphere(2)).sample((4,), generator=torch.Generator().manual_seed(1), dtype=x.dtype)
    return torch.logsumexp(10 * x @ modes.T, -1)


def xy_model(angles: Tensor) -> Tensor:
    """The XY model on a 2 × 4 lattice, rows closed to rings, at temperature 1: the cosines between neighbours."""
    spins = angles.unflatten(-1, (ROWS, COLUMNS))
    along = (spins - spins.roll(1, -1)).cos().sum((-1, -2))
    return along + (spins[..., 0, :] - spins[..., 1, :]).cos().sum(-1)


def main(bump_steps: int = 300, spin_steps: int = 2500, samples: int = 4000) -> tuple[float, float]:
    """Train both; returns the effective sample sizes, as fractions of the samples."""
    sphere, torus = rm.Sphere(2), rm.Torus(ROWS * COLUMNS)
    fields = (
        rm.TangentMLP(sphere, width=64, depth=3),
        rm.TangentMLP(torus, width=64, depth=2, frequencies=(), harmonics=1),
    )
    sizes: list[float] = []
    for field, target, steps, lr in zip(
        fields, (four_bumps, xy_model), (bump_steps, spin_steps), (3e-3, 5e-3), strict=True
    ):
        base = rm.Uniform(field.manifold)
        objective = rm.ReverseKL(target, base, solver=rm.RK4(steps=4))
        rm.fit(field, objective, None, steps=steps, batch_size=128, lr=lr, ema=0.99, seed=0)
        flow = rm.FlowPath(field, base=base, solver=rm.DormandPrince(1e-4, 1e-4))
        size, error = rm.effective_sample_size(
            flow.at(1.0), target, samples, generator=torch.Generator().manual_seed(0)
        )
        sizes.append(float(size))
        print(f"{target.__name__}: effective sample size {float(size):.1%} ± {float(error):.1%} of {samples} samples")
    return sizes[0], sizes[1]


if __name__ == "__main__":
    main()
