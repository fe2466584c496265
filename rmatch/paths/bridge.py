"""Brownian motion between two points: a conditional path whose law, velocity and score are all known."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rmatch._errors import OptionError
from rmatch.distributions import HeatKernel
from rmatch.manifolds import Manifold
from rmatch.paths._bridge_samples import bridge_points
from rmatch.paths.base import PairPath, PathSample, require_time
from rmatch.paths.schedules import Linear, Schedule

__all__ = ["DiffusionBridge"]


class DiffusionBridge(PairPath):
    """Brownian motion from x0 that is conditioned to arrive in x1.

    With the heat kernel K of the generator ½Δ, the times `a = floor² + noise² κ(t)` since the start and
    `b = floor² + noise² (1 - κ(t))` to the end, the law of x_t, the drift of the motion and the field that carries the
    law along are

        p_t(x | x0, x1) = K(a, x0, x) K(b, x, x1) / K(a + b, x0, x1),
        b_t(x | x1)     = noise² κ' ∇log K(b, x, x1),
        u_t(x | x0, x1) = b_t - ½ noise² κ' ∇log p_t = ½ noise² κ' (∇log K(b, x, x1) - ∇log K(a, x0, x)),

    and the score ∇log p_t is the sum of both gradients. In flat space it is the normal law around the straight line
    with the variance of a Brownian bridge, as for `StochasticInterpolant`; on curved spaces the motion spreads over all
    ways to x1, where that path stays around one geodesic. The floor is the noise that is left at both ends: the motion
    is seen from some time after it left x0 until some time before it arrives, as fields are infinite at either.

    Points are sampled exactly on flat spaces and tori, whose winding numbers are drawn too. Elsewhere they come from a
    walk guided by b_t, and `steps` Metropolis steps with the exact density take out what its finite steps leave, at the
    price of 3 heat kernels for each step. On products all this is done factor by factor.

    Args:
        manifold: A sphere, a torus, rotations, hyperbolic or Euclidean space, or a product of such.
        noise: The standard deviation that the free motion has in each direction after a time of 1, positive.
        floor: Scale of the noise that is left at both ends, positive.
        schedule: κ, the clock of the motion; the identity by default.
        steps: How many steps the walk and its correction take, each, where no exact sampler is known.

    Raises:
        OptionError: `noise` or `floor` is not positive, `steps` is less than 1, or no heat kernel is known.

    References:
        Doob, "Conditional Brownian motion and the boundary limits of harmonic functions", Bull. SMF 85 (1957).
        Jo and Hwang, "Generative modeling on manifolds through mixture of Riemannian diffusion processes", ICML 2024.

    Example:
        >>> import torch, rmatch as rm
        >>> path = rm.DiffusionBridge(rm.Sphere(2), noise=0.5, floor=0.05)
        >>> x0, x1 = torch.eye(3, dtype=torch.float64)[:2]
        >>> middle = torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64) / 2**0.5
        >>> t = torch.tensor(0.5)
        >>> path.pair_velocity(t, middle, x0, x1)
        tensor([-1.0647,  1.0647,  0.0000], dtype=torch.float64)
    """

    def __init__(
        self,
        manifold: Manifold,
        noise: float,
        *,
        floor: float = 0.01,
        schedule: Schedule | None = None,
        steps: int = 16,
    ) -> None:
        for name, value in (("noise", noise), ("floor", floor)):
            if not (value > 0 and math.isfinite(value)):
                raise OptionError(f"the {name} of a diffusion bridge is a positive number, got {value}")
        if steps < 1:
            raise OptionError(f"a walk takes at least one step, got steps={steps}")
        HeatKernel(manifold, manifold.origin(dtype=torch.float64), 1.0)  # an error where none is known
        self.manifold = manifold
        self.noise = float(noise)
        self.floor = float(floor)
        self.schedule = Linear() if schedule is None else schedule
        self.steps = steps

    @torch.no_grad()
    def _points(self, t: Tensor, x0: Tensor, x1: Tensor, generator: torch.Generator | None) -> Tensor:
        project = self.manifold.project
        start, end = torch.broadcast_tensors(project(x0.double()), project(x1.double()))
        batch = start.shape[: start.dim() - len(self.manifold.point_shape)]
        a, b = (time.to(start.device).expand(batch) for time in self._times(t))
        return project(bridge_points(self.manifold, a, b, start, end, self.steps, generator).to(x0.dtype))

    def sample(self, t: Tensor, x0: Tensor, x1: Tensor, *, generator: torch.Generator | None = None) -> PathSample:
        """A point of each bridge, without derivatives in its ends, and the velocity there."""
        x_t = self._points(t, x0, x1, generator)
        return PathSample(x_t, self.pair_velocity(t, x_t, x0, x1))

    def drift(self, t: Tensor, x: Tensor, x1: Tensor) -> Tensor:
        """The drift `noise² κ' ∇log K(b, x, x1)` of the motion `dX = b_t dt + noise √κ' dB`, wherever it started."""
        score = HeatKernel(self.manifold, x1, self._times(t)[1]).score(x)
        return self._over_points(self._rate(t, score)) * score

    def pair_fields(self, t: Tensor, x: Tensor, x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The velocity, the log-density and the score at `x` given both ends."""
        a, b = self._times(t)
        log_before, score_before = HeatKernel(self.manifold, x0, a).log_prob_and_score(x)
        log_after, score_after = HeatKernel(self.manifold, x1, b).log_prob_and_score(x)
        log_total = HeatKernel(self.manifold, x0, a + b).log_prob(x1)
        velocity = self._over_points(self._rate(t, x) / 2) * (score_after - score_before)
        return velocity, log_before + log_after - log_total, score_before + score_after

    def _rate(self, t: Tensor, like: Tensor) -> Tensor:
        rate = torch.as_tensor(self.schedule.rate(t), dtype=torch.float64)
        return (self.noise**2 * rate).to(like)

    def _times(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """The times since the start and to the end, in units in which the motion has the generator ½Δ."""
        require_time(t)
        kappa = self.schedule.kappa(t.double())
        return self.floor**2 + self.noise**2 * kappa, self.floor**2 + self.noise**2 * (1 - kappa)

    def _over_points(self, t: Tensor) -> Tensor:
        return t.reshape(*t.shape, *(1 for _ in self.manifold.point_shape)) if t.dim() else t

    def __repr__(self) -> str:
        """The constructor call."""
        schedule = "" if isinstance(self.schedule, Linear) else f", schedule={self.schedule!r}"
        return f"DiffusionBridge({self.manifold!r}, {self.noise}, floor={self.floor}{schedule})"
