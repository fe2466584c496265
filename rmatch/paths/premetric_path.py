"""The conditional path of a premetric."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rmatch._errors import OptionError
from rmatch._numerics import possibly_any
from rmatch.distributions import Distribution
from rmatch.paths.base import ConditionalPath, PathSample, require_time
from rmatch.paths.premetric import Premetric
from rmatch.paths.schedules import Linear, Schedule
from rmatch.solvers import DormandPrince, Solver

__all__ = ["PremetricPath"]

_LATEST = 1 - 1e-3  # the solver goes so far: at x1, where the paths end, the field has no direction
_CORRECTIONS, _BISECTIONS = 60, 100
_CLOSE = 1e-13
_NUDGE = 1e-6  # of a path, by which one leaves the cut locus
_SAMPLES = 200  # distances at which a profile is looked at
_TINY = 1e-150  # in place of a distance of 0, at which a quotient of distances has its limit


class PremetricPath(ConditionalPath):
    """The path down the gradient of a premetric on which `d(x_t, x1) = (1 - κ(t)) d(x0, x1)`.

    Of all fields that make it so, `u_t(x | x1) = d log(1 - κ)/dt · d(x, x1) ∇d(x, x1) / |∇d(x, x1)|²` is the shortest.
    With the geodesic distance it is that of the `GeodesicPath`.

    Where d depends on the geodesic distance alone, as all spectral distances on spheres do, paths run along geodesics
    at another pace and are found by solving `d = (1 - κ) d(x0, x1)`. Else the equation `dx/dt = u_t` is solved, and
    the result moved along ∇d to where that equation holds to the last digits; the last thousandth of a path is
    straight; a batch takes some 200 evaluations of ∇d. All of it is computed in float64 also for points in float32.

    Args:
        premetric: The premetric d, which knows its manifold.
        schedule: κ; the identity by default, so that d falls at constant speed.
        solver: For premetrics that need one; `DormandPrince()` by default.

    Raises:
        OptionError: The premetric depends on the geodesic distance alone and does not always grow with it.

    References:
        Chen and Lipman, "Flow matching on general geometries", ICLR 2024, section 3.

    Example:
        >>> import torch, rmatch as rm
        >>> M = rm.Sphere(2)
        >>> path = rm.PremetricPath(rm.BiharmonicDistance(M))
        >>> x0, x1 = torch.eye(3)[:2]
        >>> x_t, u_t = path.sample(torch.tensor(0.5), x0, x1)
        >>> path.premetric.dist(x_t, x1) / path.premetric.dist(x0, x1)
        tensor(0.5000)
        >>> M.dist(x0, x_t) / M.dist(x0, x1)  # it falls slowly where x is far, so there x moves faster
        tensor(0.6578)
    """

    def __init__(self, premetric: Premetric, schedule: Schedule | None = None, *, solver: Solver | None = None) -> None:
        _require_rising(premetric)
        self.manifold = premetric.manifold
        self.premetric = premetric
        self.schedule = Linear() if schedule is None else schedule
        self.solver = DormandPrince() if solver is None else solver

    def sample(self, t: Tensor, x0: Tensor, x1: Tensor, *, generator: torch.Generator | None = None) -> PathSample:
        """The point of each path at its time and its velocity; see `ConditionalPath.sample`. There is no noise.

        At κ = 1 the point is x1, and the velocity that with which it is reached.
        """
        del generator
        require_time(t)
        manifold, dtype = self.manifold, x0.dtype
        start, end = torch.broadcast_tensors(self._in_float64(x0), self._in_float64(x1))
        time = t.to(torch.float64)
        kappa = self.schedule.kappa(time).expand(self._batch(start))
        rate = torch.as_tensor(self.schedule.rate(time), dtype=torch.float64, device=start.device)
        straight = self.premetric.profile(manifold.dist(start, end))
        walk = self._by_solver if straight is None else self._along_geodesics
        point, by_kappa = walk(kappa, start, end)
        point = manifold.project(manifold.project(point).to(dtype))
        velocity = (self._over_points(rate) * by_kappa).to(dtype)
        return PathSample(point, manifold.to_tangent(point, velocity))

    def velocity(self, t: Tensor, x: Tensor, x1: Tensor) -> Tensor:
        """The field `-κ'/(1 - κ) d ∇d/|∇d|²`, for t < 1; 0 where ∇d is."""
        require_time(t)
        factor = torch.as_tensor(self.schedule.rate(t) / (1 - self.schedule.kappa(t)))
        return self._over_points(factor) * self._downhill(x, x1)

    def log_conditional(self, t: Tensor, x: Tensor, x1: Tensor, base: Distribution) -> Tensor:
        """The density of `x_t` given x1, by the change of variables from the x0 whose path is at x at time t.

        It is -inf where there is none: `d(x, x1)/(1 - κ)` is more than the largest distance. Along geodesics the change
        is in closed form; else the field and its divergence are followed back to x0, by the solver.

        Raises:
            SolverError: The way back cannot be followed; see `Solver.solve`.
        """
        require_time(t)
        point, end = torch.broadcast_tensors(self._in_float64(x), self._in_float64(x1))
        rest = 1 - self.schedule.kappa(t.to(torch.float64)).expand(self._batch(point))
        straight = self.premetric.profile(self.manifold.dist(point, end))
        back = self._back_by_solver if straight is None else self._back_along_geodesics
        x0, log_ratio, reached = back(rest, point, end)
        log_density = base.log_prob(x0) + log_ratio
        return torch.where(reached, log_density, -math.inf).to(x.dtype)

    # ---- along geodesics --------------------------------------------------------------------------------------------

    def _along_geodesics(self, kappa: Tensor, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
        """The point at distance r from the end with `f(r) = (1 - κ) f(r0)`, where r falls at the rate `f(r0)/f'(r)`."""
        r0 = self.manifold.dist(start, end)
        here = r0 + (r0 == 0).to(r0)  # a path of no length stays
        f, _ = self._profile(here)
        r = self._solve(f * (1 - kappa), torch.zeros_like(here), here, (1 - kappa) * here)
        _, slope = self._profile(r)
        speed = f / torch.where(slope > 0, slope, math.inf)
        fraction = torch.where(kappa < 1, 1 - r / here, 1.0)
        point, velocity = self.manifold.geodesic_with_velocity(start, end, fraction)
        return point, self._over_points(speed / here) * velocity

    def _back_along_geodesics(self, rest: Tensor, x: Tensor, end: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """With `f(r0) = f(r)/(1 - κ)`, lengths grow by dr0/dr along the geodesic, and across it as `d exp` says."""
        manifold, reach = self.manifold, self.premetric.reach
        w = manifold.log(end, x)
        r = manifold.dist(x, end)
        here = r + (r == 0).to(r) * _TINY
        f, slope = self._profile(here)
        level = f / rest
        if math.isfinite(reach):
            top, _ = self._profile(here.new_tensor(reach))
            reached = level < top
            level = torch.where(reached, level, f)
            r0 = self._solve(level, here, here.new_tensor(reach).expand(here.shape), here)
        else:
            reached = here > 0
            r0 = self._solve(level, here, torch.full_like(here, math.inf), here)
        _, slope0 = self._profile(r0)
        scale = r0 / here
        start = self._over_points(scale) * w
        x0, minimising = manifold.exp(end, start), manifold.is_minimising(end, start)
        inside = manifold.contains(x0)
        reached = reached & minimising if inside is None else reached & minimising & inside
        x0 = manifold.project(torch.where(self._over_points(reached), x0, end))
        stretch = slope / (rest * slope0)  # dr0/dr
        log_ratio = (manifold.dim - 1) * scale.log() + stretch.log()
        return x0, log_ratio + manifold.log_det_exp(end, start) - manifold.log_det_exp(end, w), reached

    def _profile(self, r: Tensor) -> tuple[Tensor, Tensor]:
        found = self.premetric.profile(r)
        if found is None:
            raise OptionError(f"{self.premetric!r} has a profile at some distances and none at others")
        return found

    def _solve(self, level: Tensor, low: Tensor, high: Tensor, guess: Tensor) -> Tensor:
        """The distance between two others at which the profile takes a level: by Newton's method inside a bracket.

        The last step is differentiable, and so the result is.
        """
        with torch.no_grad():
            wanted, r = level.detach(), guess.detach()
            low, high = low.detach(), high.detach()
            for _ in range(_BISECTIONS):
                f, slope = self._profile(r)
                low, high = torch.where(f <= wanted, r, low), torch.where(f >= wanted, r, high)
                middle = torch.where(high.isfinite(), (low + high) / 2, 2 * low + 1)
                newton = r - (f - wanted) / slope
                found = torch.where((newton >= low) & (newton <= high), newton, middle)
                moved, r = (found - r).abs() > 4 * torch.finfo(r.dtype).eps * found, found
                if not possibly_any(moved):
                    break
            f, slope = self._profile(r)
        return r + (level - f) / torch.where(slope > 0, slope, math.inf)

    # ---- by a solver ------------------------------------------------------------------------------------------------

    def _by_solver(self, kappa: Tensor, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
        """Solve `dx/dκ = -d(x0, x1) ∇d/|∇d|²`, every row for its own κ, and then put it right along ∇d."""
        manifold, premetric = self.manifold, self.premetric
        d0 = premetric.dist(start, end)
        last = kappa.clamp_max(_LATEST)

        def field(sigma: Tensor, x: Tensor) -> Tensor:
            del sigma
            return self._over_points(-last * d0) * self._steepest(x, end)

        point = self.solver.solve(manifold, field, self._off_cut_locus(start, end), 0.0, 1.0).point
        reached = self._over_points(-d0) * self._steepest(point, end)  # the direction of arrival, where that is x1
        point = manifold.project(manifold.geodesic(point, end, (kappa - last) / (1 - last)))
        point = self._corrected(point, end, (1 - kappa) * d0)
        velocity = self._over_points(-d0) * self._steepest(point, end)
        return point, torch.where(self._over_points(kappa < 1), velocity, reached)

    def _off_cut_locus(self, start: Tensor, end: Tensor) -> Tensor:
        """The starts, those on the cut locus of the end moved off it along the geodesic that `log` chooses.

        There d may not change across it, and a path that ought to go to either side would run into a saddle of d.
        """
        v = self.manifold.log(start, end)
        on_it = ~self.manifold.is_minimising(start, (1 + _NUDGE) * v)
        if not possibly_any(on_it):
            return start
        moved = self.manifold.project(self.manifold.exp(start, _NUDGE * v))
        return torch.where(self._over_points(on_it), moved, start)

    def _corrected(self, point: Tensor, end: Tensor, level: Tensor) -> Tensor:
        """The point moved along ∇d to where d takes a level, by Newton's method; no step goes half-way to the end."""
        manifold = self.manifold
        for _ in range(_CORRECTIONS):
            excess = self.premetric.dist(point, end) - level
            if not possibly_any(excess.detach().abs() > _CLOSE * (level.detach() + _CLOSE)):
                break
            step = self._over_points(-excess) * self._steepest(point, end)
            longest, length = manifold.dist(point, end) / 2, manifold.norm(point, step)
            step = step * self._over_points(torch.where(length > longest, longest / length, 1.0))
            point = manifold.project(manifold.exp(point, step))
        return point

    def _back_by_solver(self, rest: Tensor, x: Tensor, end: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Follow `dx/ds = -log(1 - κ) d ∇d/|∇d|²` for a time of 1: the level grows by 1/(1 - κ)."""
        d = self.premetric.dist(x, end)
        reached = (d > 0) & (d / rest < self.premetric.largest)
        rate = torch.where(reached, -rest.log(), 0.0)

        def field(sigma: Tensor, z: Tensor) -> Tensor:
            del sigma
            return self._over_points(-rate) * self._downhill(z, end)

        solution = self.solver.solve(self.manifold, field, x, 0.0, 1.0, divergence="exact")
        change = solution.log_density_change
        if change is None:
            raise OptionError(f"{self.solver!r} does not carry the log-density along; use a solver of rmatch")
        return solution.point, -change, reached

    def _downhill(self, x: Tensor, end: Tensor) -> Tensor:
        """The vector `-d ∇d/|∇d|²`, along which d falls at the rate d."""
        d, gradient = self.premetric.dist_and_gradient(x, end)
        return self._over_points(-d) * self._divided(x, gradient)

    def _steepest(self, x: Tensor, end: Tensor) -> Tensor:
        """The vector `∇d/|∇d|²`, along which d grows at the rate 1; 0 where ∇d is."""
        return self._divided(x, self.premetric.gradient(x, end))

    def _divided(self, x: Tensor, gradient: Tensor) -> Tensor:
        square = self.manifold.inner(x, gradient, gradient)
        return gradient / self._over_points(square + (square == 0).to(square))

    # ---- helpers ----------------------------------------------------------------------------------------------------

    def _in_float64(self, x: Tensor) -> Tensor:
        return x if x.dtype == torch.float64 else self.manifold.project(x.double())

    def _batch(self, x: Tensor) -> torch.Size:
        return x.shape[: x.dim() - len(self.manifold.point_shape)]

    def _over_points(self, t: Tensor) -> Tensor:
        return t.reshape(*t.shape, *(1 for _ in self.manifold.point_shape)) if t.dim() else t

    def __repr__(self) -> str:
        """The constructor call."""
        return f"PremetricPath({self.premetric!r}, {self.schedule!r})"


def _require_rising(premetric: Premetric) -> None:
    """Raise where the gradient vanishes between the point and its farthest point, as for a sum cut off too early."""
    reach = premetric.reach
    if not math.isfinite(reach):
        return
    r = torch.linspace(0, 1, _SAMPLES + 2, dtype=torch.float64)[1:-1] * reach
    found = premetric.profile(r)
    if found is not None and not bool((found[1] > 0).all()):
        where = float(r[found[1].argmin()])
        raise OptionError(
            f"{premetric!r} is no premetric: it does not grow with the distance at {where:.4g}, so paths would stop "
            "there; take weights that are small at the highest degree"
        )
