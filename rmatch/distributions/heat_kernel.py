"""The heat kernel: the law of Brownian motion at one time."""

from __future__ import annotations

import torch
from torch import Tensor

from rmatch._errors import OptionError, ShapeError
from rmatch._typing import Shape
from rmatch.distributions._heat_laws import heat_law
from rmatch.distributions.base import Distribution, require_shape
from rmatch.manifolds import Manifold

__all__ = ["HeatKernel"]


class HeatKernel(Distribution):
    """The law at a time t of Brownian motion that starts at the mean: the density of `exp(t Δ/2)`.

    Its density K solves the heat equation `∂K/∂t = ½ ΔK` and starts as a point mass. For small t it is close to a
    normal law of variance t in each direction, and on a compact manifold it tends to the uniform law. In float64 the
    density has a relative error of a few 1e-15, plus the rounding of `log_prob` itself, at every time and distance:

    * on `Sphere(n)` by a contour integral for early times and by spherical harmonics for late ones (tested to n = 15);
    * on `Torus(d)` by both theta series, one factor for each angle;
    * on `SpecialOrthogonal(3)` as the sum over both points of S³ that are a rotation;
    * on `PoincareBall(n)` and `Lorentz(n)` in closed form for odd n, by an integral of the next odd one for even n;
    * on `Euclidean(n)` it is the normal law of covariance t I;
    * on a `Product` the motions of the factors are independent.

    Means and times may be batches; the law is then one for each, as for the distributions of torch. The density is
    differentiable in the point, the mean and the time to any order. It is computed in float64 also for points in
    float32.

    Args:
        manifold: `Sphere`, `Torus`, `SpecialOrthogonal`, `Euclidean`, `PoincareBall`, `Lorentz` or a `Product` of
            them.
        mean: Where the motion starts, `(*batch, *point_shape)`.
        time: How long it runs, a positive number or `(*batch)`; the two broadcast.

    Raises:
        OptionError: A time is not a positive number, or no heat kernel is known on the manifold.
        PointError: The mean is not a point of the manifold.
        ShapeError: The batches of means and times do not fit together.

    References:
        McKean, "An upper bound to the spectrum of Δ on a manifold of negative curvature", J. Differential Geometry 4
        (1970). Grigor'yan, "Heat kernel and analysis on manifolds", 2009, section 9.2.

    Example:
        >>> import torch, rmatch as rm
        >>> p = rm.HeatKernel(rm.Sphere(2), torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64), 0.5)
        >>> p.log_prob(torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64))
        tensor(-1.4391, dtype=torch.float64)
        >>> p.log_prob(torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64))  # at the antipode
        tensor(-8.5416, dtype=torch.float64)
    """

    def __init__(self, manifold: Manifold, mean: Tensor, time: float | Tensor) -> None:
        self._law = heat_law(manifold)
        manifold.require_point(mean, tolerance=1e-5)
        times = torch.as_tensor(time, dtype=torch.float64, device=mean.device)
        if not bool(((times > 0) & times.isfinite()).all()):
            worst = float(times.detach().min())
            raise OptionError(f"the time of a heat kernel is a positive number, got {worst}")
        batch = mean.shape[: mean.dim() - len(manifold.point_shape)]
        try:
            self._batch = tuple(torch.broadcast_shapes(batch, times.shape))
        except RuntimeError as error:
            raise ShapeError(f"means of batch {tuple(batch)} and times {tuple(times.shape)} do not fit") from error
        self.manifold = manifold
        self.mean = manifold.project(mean)
        self.time = times

    def sample(
        self,
        shape: Shape = (),
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> Tensor:
        """Independent points, `(*shape, *batch, *point_shape)`, by default of the mean's type: an exact sampler."""
        dtype = self.mean.dtype if dtype is None else dtype
        device = self.mean.device if device is None else device
        batch = (*shape, *self._batch)
        mean = self.manifold.project(self.mean.to(device, torch.float64)).expand(*batch, *self.manifold.point_shape)
        points = self._law.sample(mean, self.time.to(device).expand(batch), generator)
        return self.manifold.project(points.to(dtype))

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density at `x` in nats with respect to dV_g, shape `(*batch)`."""
        return self._law.log_prob(*self._in_float64(x)).to(x.dtype)

    def score(self, x: Tensor) -> Tensor:
        """The score `∇ log K`, in closed form: `log_x(mean) / t` in flat space and for small t."""
        return self._law.score(*self._in_float64(x)).to(x.dtype)

    def log_prob_and_score(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Both at little more than the price of one."""
        log_prob, score = self._law.log_prob_and_score(*self._in_float64(x))
        return log_prob.to(x.dtype), score.to(x.dtype)

    def _in_float64(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        require_shape(self.manifold, x)
        mean = self.manifold.project(self.mean.to(x.device, torch.float64))
        point = x if x.dtype == torch.float64 else self.manifold.project(x.double())
        return mean, self.time.to(x.device), point

    def __repr__(self) -> str:
        """The constructor call, with the size of a batch in place of its entries."""
        mean = f"<{'×'.join(map(str, self.mean.shape[: -len(self.manifold.point_shape)]))} points>"
        mean = mean if self.mean.dim() > len(self.manifold.point_shape) else str(self.mean.tolist())
        time = f"<{'×'.join(map(str, self.time.shape))} times>" if self.time.dim() else str(float(self.time))
        return f"HeatKernel({self.manifold!r}, {mean}, {time})"
