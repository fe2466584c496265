"""Conditional flow matching."""

from __future__ import annotations

import torch
from torch import Tensor

from rmatch._errors import OptionError
from rmatch.distributions import Distribution
from rmatch.fields import VectorField
from rmatch.fields.base import require_field_on
from rmatch.paths import ConditionalPath, Coupling, GeodesicPath, Independent, posterior_velocity
from rmatch.paths.posterior import has_closed_form

_BLOCK = 512  # candidates of one posterior mean: fewer are noisier, and more cost more than they gain


class FlowMatching:
    """The flow-matching loss `E |W_t(x_t) - u_t|²_g`, with x_t on a conditional path from base to data.

    Its minimiser over W is the marginal velocity `E[u_t | x_t = x]`, which generates the marginal path. With
    Rao–Blackwellised targets u_t is replaced by its posterior mean over the end points of the batch: the expectation
    given x_t, hence the minimiser, stays the same, and the variance of the target falls by an order of magnitude where
    many end points are plausible for one x_t, as on S² and T².

    Args:
        path: The conditional path.
        base: The law of x_0.
        coupling: How base and data samples are paired; independently by default.
        rao_blackwell: Whether to average the targets; by default where it pays: with the independent coupling, up to
            dimension 3, where the weights have a closed form. These are a uniform base on spheres, tori and rotations,
            a wrapped normal base on flat and (at the origin) hyperbolic spaces, and products of such.
        late: The fraction of times drawn from the law of 1 - U², more of them next to the data; the others are uniform.

    Raises:
        OptionError: Averaged targets are asked for with a coupling that is not independent (their weights would be
            wrong), the manifolds differ, or `late` is not in [0, 1].

    References:
        Chen and Lipman, "Flow matching on general geometries", ICLR 2024, equation 6.

    Example:
        >>> import torch, rmatch as rm
        >>> M = rm.Sphere(2)
        >>> loss = rm.FlowMatching(rm.GeodesicPath(M), base=rm.Uniform(M))
        >>> x1 = rm.Uniform(M).sample((8,), generator=torch.Generator().manual_seed(0))
        >>> bool(loss(rm.TangentMLP(M, width=8, depth=1), x1, generator=torch.Generator().manual_seed(1)) > 0)
        True
    """

    def __init__(
        self,
        path: ConditionalPath,
        base: Distribution,
        *,
        coupling: Coupling | None = None,
        rao_blackwell: bool | None = None,
        late: float = 0.5,
    ) -> None:
        if path.manifold != base.manifold:
            raise OptionError(f"the path is on {path.manifold!r} but the base on {base.manifold!r}; use one manifold")
        if not 0.0 <= late <= 1.0:
            raise OptionError(f"late is a fraction in [0, 1], got {late}")
        self.path = path
        self.base = base
        self.coupling = Independent() if coupling is None else coupling
        self.late = late
        independent = isinstance(self.coupling, Independent)
        if rao_blackwell and not independent:
            raise OptionError(
                f"averaged targets need the independent coupling, not {self.coupling!r}: it changes p_t(x | x_1); "
                "leave rao_blackwell out"
            )
        self.rao_blackwell = (independent and _pays(path, base)) if rao_blackwell is None else rao_blackwell

    def __call__(self, field: VectorField, x1: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The loss on a batch of data, a scalar.

        Args:
            field: The field to train.
            x1: Data points `(B, *point_shape)`.
            generator: Source of the base points, the times and the path's noise.

        Raises:
            OptionError: The field is on another manifold than the path.
        """
        require_field_on(field, self.path.manifold)
        x0 = self.base.sample((len(x1),), generator=generator, dtype=x1.dtype, device=x1.device)
        x0, x1 = self.coupling.couple(x0, x1)
        t = self._times(len(x1), x1, generator)
        x_t, target = self.path.sample(t, x0, x1, generator=generator)
        if self.rao_blackwell:
            target = self._average(t, x_t, target, x1)
        error = field(t, x_t) - target
        return self.path.manifold.inner(x_t, error, error).mean()

    def _times(self, count: int, like: Tensor, generator: torch.Generator | None) -> Tensor:
        """Times in [0, 1): `count - m` from the uniform law and m = late * count from that of 1 - U²."""
        u = torch.rand(count, generator=generator, dtype=like.dtype, device=like.device)
        late = round(self.late * count)
        t = torch.cat([u[late:], 1 - u[:late].square()])
        return t.clamp_max(1 - 1e-5)  # the velocity at x_t = x_1, t = 1 is a limit that the posterior cannot take

    def _average(self, t: Tensor, x_t: Tensor, target: Tensor, x1: Tensor) -> Tensor:
        """The posterior mean of the targets over the end points of each block of the batch.

        A row keeps its own target where rounding leaves it no candidate.
        """
        blocks: list[Tensor] = []
        for rows in torch.arange(len(x1), device=x1.device).split(_BLOCK):
            mean, reached = posterior_velocity(self.path, t[rows], x_t[rows], x1[rows], self.base)
            blocks.append(torch.where(reached.reshape(-1, *(1 for _ in x1.shape[1:])), mean, target[rows]))
        return torch.cat(blocks) if blocks else target

    def __repr__(self) -> str:
        """The constructor call."""
        return f"FlowMatching({self.path!r}, {self.base!r}, coupling={self.coupling!r})"


def _pays(path: ConditionalPath, base: Distribution) -> bool:
    """In higher dimension hardly more than one end point is plausible; elsewhere every pair costs too much."""
    return isinstance(path, GeodesicPath) and path.manifold.dim <= 3 and has_closed_form(path.manifold, base)
