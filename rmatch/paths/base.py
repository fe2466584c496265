"""Probability paths: densities p_t with the vector field that generates them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from rmatch._errors import OptionError
from rmatch._typing import Shape
from rmatch.distributions import Distribution
from rmatch.manifolds import Manifold

_SLACK = 1e-6  # a stage of a solver in float32 may end that much after 1


class PathSample(NamedTuple):
    """Points `x_t` of a conditional path and its velocity `u_t` there, both `(*batch, *point_shape)`."""

    x_t: Tensor
    u_t: Tensor


class ConditionalPath(ABC):
    """A curve from a base point x0 to a data point x1 for every pair: what flow matching regresses to."""

    manifold: Manifold

    @abstractmethod
    def sample(self, t: Tensor, x0: Tensor, x1: Tensor, *, generator: torch.Generator | None = None) -> PathSample:
        """The point of each curve at its time and its velocity.

        Args:
            t: Times in [0, 1], a scalar or `(*batch)`.
            x0: Base points `(*batch, *point_shape)`.
            x1: Data points of the same shape.
            generator: Source of the noise, for paths that have some.
        """

    def velocity(self, t: Tensor, x: Tensor, x1: Tensor) -> Tensor:
        """The velocity `u_t(x | x1)` of the curve that is at `x` at time t < 1 and ends in `x1`."""
        raise OptionError(f"the velocity of {self!r} is not known from the end point alone; do without rao_blackwell")

    def log_conditional(self, t: Tensor, x: Tensor, x1: Tensor, base: Distribution) -> Tensor:
        """The log-density of `x_t` given x1, for x0 drawn from `base` independently of x1; -inf where it has none."""
        raise OptionError(f"the density of {self!r} is not known from the end point alone; do without rao_blackwell")


class PairPath(ConditionalPath):
    """A conditional path with noise, whose law given both of its ends has a density at every time in [0, 1]."""

    @abstractmethod
    def pair_fields(self, t: Tensor, x: Tensor, x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The velocity, the log-density and the score at `x` given both ends; all batches broadcast."""

    def pair_velocity(self, t: Tensor, x: Tensor, x0: Tensor, x1: Tensor) -> Tensor:
        """The velocity `u_t(x | x0, x1)`, which generates the law given both ends."""
        return self.pair_fields(t, x, x0, x1)[0]

    def pair_log_prob(self, t: Tensor, x: Tensor, x0: Tensor, x1: Tensor) -> Tensor:
        """The log-density `log p_t(x | x0, x1)` in nats with respect to dV_g, `(*batch)`."""
        return self.pair_fields(t, x, x0, x1)[1]


class ProbabilityPath(ABC):
    """A density p_t for every t in [0, 1] together with the vector field V_t that generates it.

    Density and field satisfy the continuity equation `∂p_t/∂t = -Div(p_t V_t)`.
    """

    manifold: Manifold

    @abstractmethod
    def sample(
        self,
        t: float,
        shape: Shape = (),
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> Tensor:
        """Points drawn from p_t, shape `(*shape, *point_shape)`."""

    @abstractmethod
    def velocity(self, t: Tensor | float, x: Tensor) -> Tensor:
        """The generating field V_t at `x`."""

    @abstractmethod
    def log_prob(self, t: float, x: Tensor) -> Tensor:
        """The log-density of p_t at `x`, in nats with respect to dV_g, shape `(*batch)`."""

    def score(self, t: float, x: Tensor) -> Tensor:
        """The score `∇ log p_t` at `x`, by differentiating `log_prob` unless a member knows better."""
        return self.manifold.gradient(lambda y: self.log_prob(t, y))(x)

    def log_prob_and_score(self, t: float, x: Tensor) -> tuple[Tensor, Tensor]:
        """`log_prob` and `score` at `x`, for members that have both at little more than the price of one."""
        return self.log_prob(t, x), self.score(t, x)

    def at(self, t: float) -> Distribution:
        """The distribution p_t, for t in [0, 1]."""
        require_time(t)
        return _Marginal(self, t)


def require_time(t: Tensor | float) -> None:
    """Raise `OptionError` where a time lies outside [0, 1] by more than a rounding, or is NaN.

    Values that are not there to be read, inside a transform or on an accelerator, are let through.
    """
    low, high = _ends(t)
    if not (low >= -_SLACK and high <= 1 + _SLACK):
        got = f"t={low:.6g}" if low == high or not isinstance(t, Tensor) else f"times from {low:.6g} to {high:.6g}"
        raise OptionError(f"a path has times from 0 to 1, got {got}")


def _ends(t: Tensor | float) -> tuple[float, float]:
    """The least and the largest time, or 0 where they cannot be read."""
    if not isinstance(t, Tensor):
        return float(t), float(t)
    if t.device.type != "cpu" or torch.compiler.is_compiling() or not t.numel():
        return 0.0, 0.0
    try:
        low, high = t.detach().aminmax()
        return float(low), float(high)
    except RuntimeError:  # inside vmap, where a value that differs between rows cannot steer Python
        return 0.0, 0.0


def require_path(path: object) -> None:
    """Raise `OptionError` where something is no path of densities with the field that generates it."""
    if isinstance(path, ProbabilityPath):
        return
    hint = "it has to be a ProbabilityPath, such as FlowPath or HeatPath, with a density and a field at every time"
    if isinstance(path, ConditionalPath):
        hint = "it has no density of its own; that of all of its curves is EmpiricalPath(path, data, base)"
    elif isinstance(path, Distribution):
        hint = "a distribution has no field; " + hint
    raise OptionError(f"{path!r} is not a probability path: {hint}")


class _Marginal(Distribution):
    """One time of a path, as a distribution."""

    def __init__(self, path: ProbabilityPath, t: float) -> None:
        self.path = path
        self.t = t
        self.manifold = path.manifold

    def sample(
        self,
        shape: Shape = (),
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> Tensor:
        """Points of the path at its time, `(*shape, *point_shape)`."""
        return self.path.sample(self.t, shape, generator=generator, dtype=dtype, device=device)

    def log_prob(self, x: Tensor) -> Tensor:
        """The path's log-density at its time, `(*batch)`."""
        return self.path.log_prob(self.t, x)

    def score(self, x: Tensor) -> Tensor:
        """The path's score at its time."""
        return self.path.score(self.t, x)

    def __repr__(self) -> str:
        """The call that makes it."""
        return f"{self.path!r}.at({self.t})"
