"""The geodesic with noise: a conditional path whose velocity and score are both known."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rmatch._errors import OptionError
from rmatch.distributions import HeatKernel
from rmatch.manifolds import Manifold
from rmatch.paths._isometries import rigid_motion
from rmatch.paths.base import PairPath, PathSample, require_time
from rmatch.paths.schedules import Linear, Schedule


class StochasticInterpolant(PairPath):
    """The geodesic γ from x0 to x1 with noise around it, `x_t ~ K(s(t), γ(t), ·)`, K the heat kernel.

    The noise `s(t) = floor² + noise² t (1 - t)` is that of a Brownian bridge. Given both ends, the density moves with
    its centre as a rigid body and spreads by the heat flow, so the field that generates it is

        u_t(x) = ξ_t(x) - ½ s'(t) ∇log K(s(t), γ(t), x),

    with ξ_t the infinitesimal isometry that carries γ(t) along the geodesic: a rotation on a sphere, a boost on a
    hyperboloid, a translation in flat space. Velocity and score are both in closed form.

    Args:
        manifold: A sphere, a torus, hyperbolic or Euclidean space, or a product of such.
        noise: Scale of the noise on the way, in the units of `dist`; 0 for the same noise everywhere.
        floor: Scale of the noise that is left at both ends, positive.
        schedule: How fast γ runs; at constant speed by default.

    Raises:
        OptionError: `floor` is not positive or `noise` is negative, or the manifold is not one of these.

    References:
        Albergo, Boffi and Vanden-Eijnden, "Stochastic interpolants: a unifying framework for flows and diffusions",
        JMLR 2025, section 2 (in flat space).

    Example:
        >>> import torch, rmatch as rm
        >>> path = rm.StochasticInterpolant(rm.Sphere(2), noise=0.3, floor=0.05)
        >>> x0, x1 = torch.eye(3, dtype=torch.float64)[:2]
        >>> law = path.kernel(torch.tensor(0.5), x0, x1)
        >>> round(float(law.time), 4)
        0.025
        >>> path.pair_velocity(torch.tensor(0.5), law.mean, x0, x1)  # at the centre, that of the geodesic
        tensor([-1.1107,  1.1107,  0.0000], dtype=torch.float64)
    """

    def __init__(
        self, manifold: Manifold, noise: float, *, floor: float = 0.01, schedule: Schedule | None = None
    ) -> None:
        if not (floor > 0 and math.isfinite(floor)):
            raise OptionError(f"the floor of the noise is a positive number, got {floor}")
        if not (noise >= 0 and math.isfinite(noise)):
            raise OptionError(f"the noise is a number from 0 on, got {noise}")
        origin = manifold.origin(dtype=torch.float64)
        HeatKernel(manifold, origin, 1.0)  # an error where none is known
        rigid_motion(manifold, origin, torch.zeros_like(origin), origin)
        self.manifold = manifold
        self.noise = float(noise)
        self.floor = float(floor)
        self.schedule = Linear() if schedule is None else schedule

    def sample(self, t: Tensor, x0: Tensor, x1: Tensor, *, generator: torch.Generator | None = None) -> PathSample:
        """A point of each noised geodesic and the velocity there."""
        kernel = self.kernel(t, x0, x1)
        x_t = kernel.sample(generator=generator)
        return PathSample(x_t, self.pair_velocity(t, x_t, x0, x1))

    def kernel(self, t: Tensor, x0: Tensor, x1: Tensor) -> HeatKernel:
        """The law of x_t given both ends, with its density and score: one for each pair."""
        require_time(t)
        centre = self.manifold.geodesic(x0, x1, self.schedule.kappa(t))
        return HeatKernel(self.manifold, self.manifold.project(centre), self._time(t))

    def pair_fields(self, t: Tensor, x: Tensor, x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The velocity, the log-density and the score at `x` given both ends."""
        require_time(t)
        centre, velocity = self.manifold.geodesic_with_velocity(x0, x1, self.schedule.kappa(t))
        log_prob, score = HeatKernel(self.manifold, self.manifold.project(centre), self._time(t)).log_prob_and_score(x)
        rate = self._over_points(torch.as_tensor(self.schedule.rate(t), dtype=x.dtype, device=x.device))
        spread = self._over_points((self.noise**2 * (1 - 2 * t)).to(x))
        return rate * rigid_motion(self.manifold, centre, velocity, x) - spread / 2 * score, log_prob, score

    def pair_log_prob(self, t: Tensor, x: Tensor, x0: Tensor, x1: Tensor) -> Tensor:
        """The log-density of `kernel`."""
        return self.kernel(t, x0, x1).log_prob(x)

    def _time(self, t: Tensor) -> Tensor:
        t = t.double()
        return self.floor**2 + self.noise**2 * t * (1 - t)

    def _over_points(self, t: Tensor) -> Tensor:
        return t.reshape(*t.shape, *(1 for _ in self.manifold.point_shape)) if t.dim() else t

    def __repr__(self) -> str:
        """The constructor call."""
        schedule = "" if isinstance(self.schedule, Linear) else f", schedule={self.schedule!r}"
        return f"StochasticInterpolant({self.manifold!r}, {self.noise}, floor={self.floor}{schedule})"
