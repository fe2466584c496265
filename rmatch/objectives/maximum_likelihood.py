"""Maximum likelihood: the gradient of KL from data to model, through the solver."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from rmatch._errors import OptionError
from rmatch.distributions import Distribution
from rmatch.fields import VectorField
from rmatch.fields.base import require_field_on
from rmatch.solvers import RK4, Solver


@runtime_checkable
class Density(Protocol):
    """Anything with a log-density, for example a normalizing flow of another library."""

    def log_prob(self, x: Tensor, /) -> Tensor:
        """The log-density at `x`, in nats with respect to dV_g."""
        ...


class MaximumLikelihood:
    """The negative log-likelihood `-E_p log q_θ(x)`, whose gradient is that of `KL[p || q_θ]`.

    For a field, q_θ is the law at t = 1 of the flow that it generates, and the gradient is that of the discrete solve,
    in memory that does not grow with the number of steps. A model that has a `log_prob` of its own, such as a
    normalizing flow on a torus, is asked for it.

    Args:
        base: The law of the flow at t = 0; not needed for models with a `log_prob`.
        solver: How to integrate the flow; eight steps of RK4 by default.
        divergence: `"exact"`, or `"hutchinson"` for an unbiased estimate with one probe, cheaper in high dimension.

    Raises:
        OptionError: An option is unknown.

    References:
        Mathieu and Nickel, "Riemannian continuous normalizing flows", NeurIPS 2020, section 4.

    Example:
        >>> import torch, rmatch as rm
        >>> M = rm.Sphere(2)
        >>> loss = rm.MaximumLikelihood(base=rm.Uniform(M))
        >>> x1 = M.project(torch.tensor([[1.0, 2.0, 2.0], [0.0, 3.0, 4.0]]))
        >>> loss(rm.TangentMLP(M, width=8, depth=1), x1).detach()  # an untrained flow is the base: log 4π
        tensor(2.5310)
    """

    def __init__(
        self, base: Distribution | None = None, *, solver: Solver | None = None, divergence: str = "exact"
    ) -> None:
        if divergence not in ("exact", "hutchinson"):
            raise OptionError(f"unknown divergence method {divergence!r}; use 'exact' or 'hutchinson'")
        self.base = base
        self.solver = RK4(steps=8) if solver is None else solver
        self.divergence = divergence

    def __call__(self, field: VectorField | Density, x1: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The loss on a batch of data, a scalar.

        Args:
            field: A field `field(t, x)`, or a model with `log_prob(x)`.
            x1: Data points `(B, *point_shape)`.
            generator: Source of the Hutchinson probes.

        Raises:
            OptionError: A field is given, but no base, or one on another manifold.
        """
        if isinstance(field, Density):
            return -field.log_prob(x1).mean()
        if self.base is None:
            raise OptionError("the likelihood of a flow needs the law it starts from: MaximumLikelihood(base=...)")
        require_field_on(field, self.base.manifold)
        back = self.solver.solve(
            self.base.manifold,
            field,
            x1,
            1.0,
            0.0,
            divergence=self.divergence,
            generator=generator,
            parameters=parameters_of(field),
        )
        if back.log_density_change is None:
            raise OptionError(f"{self.solver!r} returned no log-density although it was asked for one")
        return (back.log_density_change - self.base.log_prob(back.point)).mean()

    def __repr__(self) -> str:
        """The constructor call."""
        return f"MaximumLikelihood({self.base!r}, solver={self.solver!r}, divergence={self.divergence!r})"


def parameters_of(model: Any) -> list[Tensor]:
    """What a network is differentiated in; nothing for a plain function."""
    return [p for p in model.parameters() if p.requires_grad] if isinstance(model, nn.Module) else []
