"""The path of a mixture under the heat flow: density, score and velocity in closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from rmatch._errors import OptionError, ShapeError
from rmatch._typing import Shape
from rmatch.distributions import HeatKernel
from rmatch.distributions.base import require_shape
from rmatch.distributions.mixture import choose, normalised_weights
from rmatch.manifolds import Manifold
from rmatch.paths.base import ProbabilityPath, require_time
from rmatch.paths.schedules import Linear, Schedule


class HeatPath(ProbabilityPath):
    """Points that diffuse: `p_t = Σ_k w_k K(s(t), m_k, ·)` with heat kernels K and `s(t) = start + κ(t) (end - start)`.

    As `∂p/∂s = ½ Δp = ½ Div(p ∇log p)`, the field that generates it is `V_t = -½ s'(t) ∇log p_t`: density, score and
    velocity are all in closed form, to the precision of `HeatKernel`, at every time. With `end` less than `start` the
    path runs backwards, from a smooth law to a concentrated one, as a diffusion model does when it generates.

    Args:
        manifold: One on which `HeatKernel` is known.
        means: The points m_k, `(K, *point_shape)`.
        weights: Numbers `(K,)`, none negative, that are divided by their sum; all equal by default.
        start: The time of the heat flow at t = 0, positive.
        end: The time of the heat flow at t = 1, positive.
        schedule: κ; constant speed by default.

    Raises:
        OptionError: No heat kernel is known on the manifold, a time is not a positive number, or the weights cannot be
            used.
        ShapeError: The means are not a table of points, or the weights are not as many.
        PointError: A mean is not a point of the manifold.

    References:
        Song et al., "Score-based generative modeling through stochastic differential equations", ICLR 2021, section 4.3
        (the probability flow).

    Example:
        >>> import torch, rmatch as rm
        >>> p = rm.HeatPath(rm.Sphere(2), torch.eye(3, dtype=torch.float64), [1.0, 2.0, 1.0], start=0.05, end=0.5)
        >>> x = torch.tensor([0.6, 0.8, 0.0], dtype=torch.float64)
        >>> p.log_prob(0.0, x), p.log_prob(1.0, x)
        (tensor(-3.6268, dtype=torch.float64), tensor(-1.7879, dtype=torch.float64))
        >>> p.velocity(0.5, x)
        tensor([ 0.2149, -0.1612, -0.0141], dtype=torch.float64)
    """

    def __init__(
        self,
        manifold: Manifold,
        means: Tensor,
        weights: Tensor | Sequence[float] | None = None,
        *,
        start: float,
        end: float,
        schedule: Schedule | None = None,
    ) -> None:
        for name, time in (("start", start), ("end", end)):
            if not (time > 0 and math.isfinite(time)):
                raise OptionError(f"the times of a heat path are positive numbers, got {name}={time}")
        if means.dim() != 1 + len(manifold.point_shape) or not len(means):
            wanted = ", ".join(("K", *map(str, manifold.point_shape)))
            raise ShapeError(f"the means of a heat path have shape ({wanted}) with K >= 1, got {tuple(means.shape)}")
        self.manifold = manifold
        self.means = HeatKernel(manifold, means, start).mean
        self.weights = normalised_weights(weights, len(means))
        self.start = float(start)
        self.end = float(end)
        self.schedule = Linear() if schedule is None else schedule

    def sample(
        self,
        t: float,
        shape: Shape = (),
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> Tensor:
        """Points drawn from p_t, `(*shape, *point_shape)`, by default of the means' type: exact."""
        time = self._heat_time(t, self.means)
        source = self.weights.device if generator is None else generator.device
        chosen = choose(self.weights.detach().to(source), math.prod(shape), generator).to(self.means.device)
        means = self.means[chosen].reshape(*shape, *self.manifold.point_shape)
        return HeatKernel(self.manifold, means, time).sample(generator=generator, dtype=dtype, device=device)

    def velocity(self, t: Tensor | float, x: Tensor) -> Tensor:
        """The field `-½ s'(t) ∇log p_t` at `x`; `t` is a number or `(*batch)`."""
        rate = torch.as_tensor(self.schedule.rate(self._time(t, x)), dtype=x.dtype, device=x.device)
        factor = (self.start - self.end) / 2 * rate
        return factor.reshape(*factor.shape, *(1 for _ in self.manifold.point_shape)) * self.score(t, x)

    def log_prob(self, t: Tensor | float, x: Tensor) -> Tensor:
        """The log-density of p_t at `x` in nats with respect to dV_g, `(*batch)`; `t` is a number or `(*batch)`."""
        return self._weighted(self._kernels(t, x).log_prob(self._beside(x))).logsumexp(-1)

    def score(self, t: Tensor | float, x: Tensor) -> Tensor:
        """The score `∇log p_t` at `x`: the mean of the kernels' scores, by how likely each mean is."""
        return self.log_prob_and_score(t, x)[1]

    def log_prob_and_score(self, t: Tensor | float, x: Tensor) -> tuple[Tensor, Tensor]:
        """Both from one evaluation of the kernels."""
        logs, scores = self._kernels(t, x).log_prob_and_score(self._beside(x))  # [*batch, K], [*batch, K, *point]
        joint = self._weighted(logs)
        posterior = joint.softmax(-1)
        posterior = posterior.reshape(*posterior.shape, *(1 for _ in self.manifold.point_shape))
        return joint.logsumexp(-1), (posterior * scores).sum(-1 - len(self.manifold.point_shape))

    def _kernels(self, t: Tensor | float, x: Tensor) -> HeatKernel:
        """One kernel for each mean and each time: batch `(*batch, K)`."""
        time = self._heat_time(t, x)
        return HeatKernel(self.manifold, self.means.to(x.device), time.unsqueeze(-1) if time.dim() else time)

    def _weighted(self, logs: Tensor) -> Tensor:
        """`log w_k + log K_k`: `(*batch, K)`."""
        return logs + self.weights.to(logs.device, logs.dtype).log()

    def _beside(self, x: Tensor) -> Tensor:
        """Points with an axis for the means, `(*batch, 1, *point_shape)`."""
        require_shape(self.manifold, x)
        return x.unsqueeze(x.dim() - len(self.manifold.point_shape))

    def _time(self, t: Tensor | float, like: Tensor) -> Tensor:
        require_time(t)
        return torch.as_tensor(t, dtype=torch.float64, device=like.device)

    def _heat_time(self, t: Tensor | float, like: Tensor) -> Tensor:
        return self.start + self.schedule.kappa(self._time(t, like)) * (self.end - self.start)

    def __repr__(self) -> str:
        """The constructor call, with the number of means in place of the means."""
        schedule = "" if isinstance(self.schedule, Linear) else f", schedule={self.schedule!r}"
        return f"HeatPath({self.manifold!r}, <{len(self.means)} means>, start={self.start}, end={self.end}{schedule})"
