"""The marginal path of a finite data set: exactly what flow matching regresses to."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rmatch._errors import OptionError, ShapeError
from rmatch._typing import Shape
from rmatch.distributions import Distribution
from rmatch.distributions.base import require_shape
from rmatch.paths.base import ConditionalPath, PairPath, ProbabilityPath, require_time


class EmpiricalPath(ProbabilityPath):
    """The law of x_t on a conditional path whose end point is one of N data points, each as likely as the others.

    With `p_t(x) = Σ_i p_t(x | x_i) / N`, the field that generates it is the posterior mean
    `V_t(x) = Σ_i p_t(x | x_i) u_t(x | x_i) / Σ_i p_t(x | x_i)`: the minimiser of the flow-matching loss on this data,
    which no network is needed for. It is exact, at the price of N terms for every point.

    Args:
        path: The conditional path.
        data: The end points `(N, *point_shape)`.
        base: The law of the base point, drawn independently of the end point; for a path with noise, whose law is known
            between two points, instead the start points `(N, *point_shape)`, one for each end point.

    Raises:
        OptionError: The manifolds differ, or the kind of base does not go with the path.
        ShapeError: The data are not a table of points, or there are not as many start points.
        PointError: The data or the start points are not points of the manifold.

    References:
        Lipman et al., "Flow matching for generative modeling", ICLR 2023, equations 6 and 8.

    Example:
        >>> import torch, rmatch as rm
        >>> M = rm.Euclidean(1)
        >>> base = rm.WrappedNormal(M, torch.zeros(1, dtype=torch.float64), 1.0)
        >>> p = rm.EmpiricalPath(rm.GeodesicPath(M), torch.tensor([[-1.0], [3.0]], dtype=torch.float64), base)
        >>> p.velocity(0.5, torch.tensor([0.5], dtype=torch.float64))  # half-way between both data points
        tensor([1.], dtype=torch.float64)
    """

    def __init__(self, path: ConditionalPath, data: Tensor, base: Distribution | Tensor) -> None:
        _require_table(path, data, "data")
        if isinstance(base, Tensor):
            _require_table(path, base, "start points")
            if len(base) != len(data):
                raise ShapeError(f"each of the {len(data)} data points has one start point, got {len(base)}")
        self.manifold = path.manifold
        self.path = path
        self.data = data
        self.base = base
        self._given = _GivenPair(path, base) if isinstance(path, PairPath) else _GivenEnd(path, base)

    def sample(
        self,
        t: float,
        shape: Shape = (),
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> Tensor:
        """Points drawn from p_t, `(*shape, *point_shape)`, by default of the type of the data."""
        require_time(t)
        dtype = self.data.dtype if dtype is None else dtype
        device = self.data.device if device is None else device
        source = device if generator is None else generator.device
        chosen = torch.randint(len(self.data), tuple(shape), generator=generator, device=source).to(self.data.device)
        x1 = self.manifold.project(self.data[chosen].to(device, dtype))
        x0 = self._given.starts(chosen, x1, generator)
        times = torch.full(tuple(shape), t, dtype=dtype, device=device)
        return self.path.sample(times, x0, x1, generator=generator).x_t

    def velocity(self, t: Tensor | float, x: Tensor) -> Tensor:
        """The posterior mean of the conditional velocity at `x`; 0 where no path comes through."""
        time, points = self._beside(t, x)
        return self._posterior_mean(*self._given.velocities(time, points, self.data.to(x)))

    def log_prob(self, t: Tensor | float, x: Tensor) -> Tensor:
        """The log-density of p_t at `x` in nats with respect to dV_g, `(*batch)`; -inf where no path comes through."""
        time, points = self._beside(t, x)
        return self._given.log_densities(time, points, self.data.to(x)).logsumexp(-1) - math.log(len(self.data))

    def score(self, t: Tensor | float, x: Tensor) -> Tensor:
        """The score `∇log p_t` at `x`: in closed form where that of the path is, else by differentiating."""
        time, points = self._beside(t, x)
        scores = self._given.scores(time, points, self.data.to(x))
        if scores is not None:
            return self._posterior_mean(*scores)
        return self.manifold.gradient(lambda y: self.log_prob(t, y))(x)

    def _beside(self, t: Tensor | float, x: Tensor) -> tuple[Tensor, Tensor]:
        """Times and points with an axis for the data."""
        require_shape(self.manifold, x)
        require_time(t)
        self._given.require_density(t)
        time = torch.as_tensor(t, dtype=x.dtype, device=x.device).unsqueeze(-1)
        return time, x.unsqueeze(x.dim() - len(self.manifold.point_shape))

    def _posterior_mean(self, log_densities: Tensor, vectors: Tensor) -> Tensor:
        reached = log_densities.isfinite().any(-1, keepdim=True)
        weights = torch.where(reached, torch.where(reached, log_densities, 0.0).softmax(-1), 0.0)
        weights = weights.reshape(*weights.shape, *(1 for _ in self.manifold.point_shape))
        return (weights * vectors).sum(-1 - len(self.manifold.point_shape))

    def __repr__(self) -> str:
        """The constructor call, with the number of data points in place of the points."""
        base = f"<{len(self.base)} points>" if isinstance(self.base, Tensor) else repr(self.base)
        return f"EmpiricalPath({self.path!r}, <{len(self.data)} points>, {base})"


class _GivenEnd:
    """A path whose law is known given its end point.

    Times are `(*batch, 1)`, points `(*batch, 1, *point_shape)` and data `(N, *point_shape)`; results are `(*batch, N)`.
    """

    def __init__(self, path: ConditionalPath, base: Distribution | Tensor) -> None:
        if isinstance(base, Tensor):
            raise OptionError(
                f"{path!r} takes the law of its base points, base=rm.Uniform(manifold) or another, got a tensor; start "
                "points, one for each data point, are for a StochasticInterpolant or a DiffusionBridge"
            )
        if base.manifold != path.manifold:
            raise OptionError(f"the path is on {path.manifold!r} but the base on {base.manifold!r}; use one manifold")
        self.path = path
        self.base = base

    def require_density(self, t: Tensor | float) -> None:
        if not isinstance(t, Tensor) and t >= 1:
            raise OptionError("at t = 1 the law of this empirical path is the data, which has no density: take t < 1")

    def starts(self, chosen: Tensor, x1: Tensor, generator: torch.Generator | None) -> Tensor:
        return self.base.sample(tuple(chosen.shape), generator=generator, dtype=x1.dtype, device=x1.device)

    def log_densities(self, time: Tensor, points: Tensor, data: Tensor) -> Tensor:
        return self.path.log_conditional(time, points, data, self.base)

    def velocities(self, time: Tensor, points: Tensor, data: Tensor) -> tuple[Tensor, Tensor]:
        return self.log_densities(time, points, data), self.path.velocity(time, points, data)

    def scores(self, time: Tensor, points: Tensor, data: Tensor) -> None:
        """None: they are not known in closed form."""


class _GivenPair:
    """A path whose law is known given both of its ends."""

    def __init__(self, path: PairPath, base: Distribution | Tensor) -> None:
        if not isinstance(base, Tensor):
            raise OptionError(
                f"{path!r} takes start points (N, *point_shape), one for each data point, as its law is known between "
                f"two points; got {base!r}"
            )
        self.path = path
        self.points = base

    def require_density(self, t: Tensor | float) -> None:
        """There is one at every time."""

    def starts(self, chosen: Tensor, x1: Tensor, generator: torch.Generator | None) -> Tensor:
        del generator
        return self.path.manifold.project(self.points[chosen].to(x1))

    def log_densities(self, time: Tensor, points: Tensor, data: Tensor) -> Tensor:
        return self.path.pair_log_prob(time, points, self.points.to(data), data)

    def velocities(self, time: Tensor, points: Tensor, data: Tensor) -> tuple[Tensor, Tensor]:
        velocity, log_densities, _ = self.path.pair_fields(time, points, self.points.to(data), data)
        return log_densities, velocity

    def scores(self, time: Tensor, points: Tensor, data: Tensor) -> tuple[Tensor, Tensor]:
        _, log_densities, score = self.path.pair_fields(time, points, self.points.to(data), data)
        return log_densities, score


def _require_table(path: ConditionalPath, points: Tensor, what: str) -> None:
    path.manifold.require_point(points, tolerance=1e-5)
    if points.dim() != 1 + len(path.manifold.point_shape) or not len(points):
        wanted = ", ".join(("N", *map(str, path.manifold.point_shape)))
        raise ShapeError(
            f"the {what} of an empirical path have shape ({wanted}) with N >= 1, got {tuple(points.shape)}"
        )
