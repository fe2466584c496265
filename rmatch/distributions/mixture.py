"""Mixtures: a choice between other laws on the same manifold."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from rmatch._errors import OptionError, ShapeError
from rmatch._typing import Shape
from rmatch.distributions.base import Distribution, require_shape

__all__ = ["Mixture"]


class Mixture(Distribution):
    """The law of a point that is drawn from one of several laws, `p(x) = Σ_k w_k p_k(x)`.

    Its score is the mean of the scores of its parts, weighted by how likely each is to have made the point,
    `∇ log p = Σ_k (w_k p_k / p) ∇ log p_k`.

    Args:
        components: The laws p_k, K of them, on one manifold.
        weights: Numbers `(K,)`, none negative, that are divided by their sum; all equal by default.

    Raises:
        OptionError: There are no components, they live on different manifolds, or the weights cannot be used.
        ShapeError: There are not as many weights as components.

    Example:
        >>> import torch, rmatch as rm
        >>> M = rm.Torus(1)
        >>> parts = [rm.WrappedNormal(M, torch.tensor([mean], dtype=torch.float64), 0.5) for mean in (1.0, 3.0)]
        >>> rm.Mixture(parts, [3.0, 1.0]).log_prob(torch.tensor([2.0], dtype=torch.float64))
        tensor(-2.2258, dtype=torch.float64)
    """

    def __init__(self, components: Sequence[Distribution], weights: Tensor | Sequence[float] | None = None) -> None:
        self.components = tuple(components)
        if not self.components:
            raise OptionError("a mixture needs at least one component, got none")
        self.manifold = self.components[0].manifold
        for number, component in enumerate(self.components):
            if component.manifold != self.manifold:
                raise OptionError(
                    f"the components of a mixture live on one manifold, but component 0 is on {self.manifold!r} and "
                    f"component {number} on {component.manifold!r}"
                )
        self.weights = normalised_weights(weights, len(self.components))

    def sample(
        self,
        shape: Shape = (),
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> Tensor:
        """Independent points, `(*shape, *point_shape)`, by default of the type of the first component's points."""
        shape = tuple(shape)
        where = self.weights.device if generator is None else generator.device
        count = math.prod(shape)
        chosen = choose(self.weights.detach().to(where), count, generator)
        rows = [(chosen == number).nonzero().squeeze(-1) for number in range(len(self.components))]
        points = torch.cat(
            [
                component.sample((len(mine),), generator=generator, dtype=dtype, device=device)
                for mine, component in zip(rows, self.components, strict=True)
            ]
        )
        back = torch.cat(rows).argsort().to(points.device)
        return points[back].reshape(*shape, *self.manifold.point_shape)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density at `x` in nats with respect to dV_g, shape `(*batch)`."""
        require_shape(self.manifold, x)
        return self._joint(x).logsumexp(-1)

    def score(self, x: Tensor) -> Tensor:
        """The posterior mean of the components' scores, in closed form where they have one."""
        require_shape(self.manifold, x)
        posterior = self._joint(x).softmax(-1)  # [*batch, K]
        over_points = tuple(1 for _ in self.manifold.point_shape)
        parts = [
            weight.reshape(*weight.shape, *over_points) * component.score(x)
            for weight, component in zip(posterior.unbind(-1), self.components, strict=True)
        ]
        return torch.stack(parts).sum(0)

    def _joint(self, x: Tensor) -> Tensor:
        """`log w_k + log p_k(x)`: `(*batch, K)`."""
        logs = torch.stack([component.log_prob(x) for component in self.components], -1)
        return logs + self.weights.to(x.device, logs.dtype).log()

    def __repr__(self) -> str:
        """The constructor call."""
        parts = ", ".join(map(repr, self.components))
        return f"Mixture([{parts}], {[round(weight, 6) for weight in self.weights.tolist()]})"


def normalised_weights(weights: Tensor | Sequence[float] | None, count: int) -> Tensor:
    """Weights `(count,)` of sum 1 in float64; equal ones where none are given."""
    if weights is None:
        return torch.full((count,), 1 / count, dtype=torch.float64)
    w = torch.as_tensor(weights, dtype=torch.float64)
    if tuple(w.shape) != (count,):
        raise ShapeError(f"{count} components take weights of shape ({count},), got {tuple(w.shape)}")
    if not bool((w.isfinite() & (w >= 0)).all()) or not bool((w > 0).any()):
        raise OptionError(f"the weights of a mixture are finite, not negative and not all 0, got {w.tolist()}")
    return w / w.sum()


def choose(weights: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """`count` independent indices with probabilities in proportion to the weights, for a count of 0 too."""
    mass = weights.cumsum(0)
    u = torch.rand(count, generator=generator, dtype=weights.dtype, device=weights.device)
    return torch.searchsorted(mass / mass[-1], u, right=True)
