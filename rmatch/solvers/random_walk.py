"""Stochastic differential equations on a manifold, by geodesic random walks."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from rmatch._errors import OptionError, SolverError
from rmatch._typing import TimeField
from rmatch.manifolds import Manifold


class GeodesicRandomWalk:
    """Integrates `dX = b_t(X) dt + σ(t) dB` on a manifold, dB Brownian motion with generator ½Δ.

    A step is `X_{k+1} = exp_{X_k}(h b_t(X_k) + s_k Z)`, Z standard normal in the tangent space at X_k and
    `s_k² = ∫ σ² dt` over the step. It stays on the manifold, converges in law with order 1, and in flat space, where
    the noise is additive, along every path with order 1 as well.

    Args:
        steps: Number of equal steps from start to end.

    Raises:
        OptionError: `steps` is less than 1.

    References:
        Jørgensen, "The central limit problem for geodesic random walks", Z. Wahrscheinlichkeitstheorie 32 (1975).
        Kloeden and Platen, "Numerical solution of stochastic differential equations", 1992, sections 9.6 and 10.2.

    Example:
        >>> import math, torch, rmatch as rm
        >>> M, walk = rm.Sphere(2), rm.GeodesicRandomWalk(steps=50)
        >>> north = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(4000, 3)
        >>> noise = lambda a, b: math.sqrt(b - a)
        >>> x = walk.solve(M, None, noise, north, 0.0, 0.5, generator=torch.Generator().manual_seed(0))
        >>> abs(float(x[:, 2].mean()) - math.exp(-0.5)) < 0.03  # E cos θ = exp(-t), t = 0.5
        True
    """

    def __init__(self, steps: int) -> None:
        if steps < 1:
            raise OptionError(f"a random walk takes at least one step, got steps={steps}")
        self.steps = steps

    def solve(
        self,
        manifold: Manifold,
        drift: TimeField | None,
        noise: Callable[[float, float], float],
        x0: Tensor,
        t0: float,
        t1: float,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The points at time `t1` of walks from `x0`.

        Args:
            manifold: Where the walks run.
            drift: The field `b(t, x)`, or None for Brownian motion.
            noise: `noise(a, b)` is the standard deviation that the noise has between the times a and b of a step.
            x0: Starting points `(*batch, *point_shape)`.
            t0: Start time.
            t1: End time, at which the walk arrives after `steps` equal steps; it may lie before the start.
            generator: Source of the noise.

        Raises:
            OptionError: A time is not finite.
            SolverError: A walk leaves the finite numbers.
        """
        if not (math.isfinite(t0) and math.isfinite(t1)):
            raise OptionError(f"start and end times must be finite, got t0={t0} and t1={t1}")
        x = manifold.project(x0)
        times = [t0 + (t1 - t0) * k / self.steps for k in range(self.steps)] + [t1]
        for before, after in pairwise(times):
            step = noise(before, after) * manifold.random_tangent(x, generator=generator)
            if drift is not None:
                time = torch.as_tensor(before, dtype=x.dtype, device=x.device)
                step = step + (after - before) * drift(time, x)
            x = manifold.project(manifold.exp(x, step))
            if not bool(x.isfinite().all()):
                raise SolverError(f"a walk is no longer finite at t={after:.6g}; take more steps, or look at the drift")
        return x

    def __repr__(self) -> str:
        """The constructor call."""
        return f"GeodesicRandomWalk(steps={self.steps})"
