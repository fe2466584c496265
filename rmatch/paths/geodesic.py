"""The geodesic interpolant."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rmatch.distributions import Distribution
from rmatch.manifolds import Manifold
from rmatch.paths.base import ConditionalPath, PathSample, require_time
from rmatch.paths.schedules import Linear, Schedule


class GeodesicPath(ConditionalPath):
    """The geodesic from x0 to x1, `x_t = exp_{x0}(κ(t) log_{x0} x1)`, with its velocity in closed form.

    The velocity is `u_t = κ'(t)` times the parallel transport of `log_{x0} x1`, and equally
    `κ'/(1 - κ) log_{x_t} x1`, which depends on the end point alone.

    Args:
        manifold: Where the geodesics run.
        schedule: κ; constant speed by default.

    References:
        Chen and Lipman, "Flow matching on general geometries", ICLR 2024, section 3.2.

    Example:
        >>> import torch, rmatch as rm
        >>> path = rm.GeodesicPath(rm.Torus(1))
        >>> path.sample(torch.tensor(0.5), torch.tensor([6.0]), torch.tensor([0.5]))
        PathSample(x_t=tensor([0.1084]), u_t=tensor([0.7832]))
    """

    def __init__(self, manifold: Manifold, schedule: Schedule | None = None) -> None:
        self.manifold = manifold
        self.schedule = Linear() if schedule is None else schedule

    def sample(self, t: Tensor, x0: Tensor, x1: Tensor, *, generator: torch.Generator | None = None) -> PathSample:
        """The point of each geodesic at its time and its velocity; see `ConditionalPath.sample`. There is no noise."""
        del generator
        require_time(t)
        point, velocity = self.manifold.geodesic_with_velocity(x0, x1, self.schedule.kappa(t))
        rate = self.schedule.rate(t)
        if isinstance(rate, Tensor):
            return PathSample(point, self._over_points(rate) * velocity)
        return PathSample(point, velocity if rate == 1.0 else rate * velocity)

    def velocity(self, t: Tensor, x: Tensor, x1: Tensor) -> Tensor:
        """`κ'/(1 - κ) log_x x1`, for t < 1."""
        require_time(t)
        factor = self.schedule.rate(t) / (1 - self.schedule.kappa(t))
        return self._over_points(torch.as_tensor(factor)) * self.manifold.log(x, x1)

    def log_conditional(self, t: Tensor, x: Tensor, x1: Tensor, base: Distribution) -> Tensor:
        """The density of `x_t` given x1, by the change of variables from x0 = exp_{x1}(w/(1 - κ)), w = log_{x1} x.

        `log p_t(x | x1) = log p_0(x0) - n log(1 - κ) + log|det d exp_{x1}|(w/(1 - κ)) - log|det d exp_{x1}|(w)`, and
        -inf where w/(1 - κ) lies beyond the cut locus: no minimising geodesic to x1 is at x at time t.
        """
        require_time(t)
        manifold = self.manifold
        rest = 1 - self.schedule.kappa(t)
        w = manifold.log(x1, x)
        start = w / self._over_points(rest)
        x0, reached = manifold.exp(x1, start), manifold.is_minimising(x1, start)
        inside = manifold.contains(x0)
        if inside is not None:  # so far out that floats do not hold it, and no base is there
            x0, reached = torch.where(self._over_points(inside), manifold.project(x0), x1), reached & inside
        log_density = (
            base.log_prob(x0)
            - manifold.dim * torch.log(rest)
            + manifold.log_det_exp(x1, start)
            - manifold.log_det_exp(x1, w)
        )
        return torch.where(reached, log_density, -math.inf)

    def _over_points(self, t: Tensor) -> Tensor:
        return t.reshape(*t.shape, *(1 for _ in self.manifold.point_shape)) if t.dim() else t

    def __repr__(self) -> str:
        """The constructor call."""
        return f"GeodesicPath({self.manifold!r}, {self.schedule!r})"
