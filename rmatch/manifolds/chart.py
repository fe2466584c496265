"""A manifold of one chart, out of nothing but its metric."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor

from rmatch._errors import OptionError, PointError, ShapeError, SolverError
from rmatch.manifolds._chart_domain import Box, Predicate
from rmatch.manifolds._geodesic_equation import GeodesicEquation, MetricFunction, OnValues, integrate, readable
from rmatch.manifolds._shooting import shoot
from rmatch.manifolds.base import Manifold, Quadrature


class ChartManifold(Manifold):
    """An open set of R^dim with the metric `g(x)` that a function gives; everything else follows from it.

    The derivatives of g come from automatic differentiation. `exp` and `transport` solve the geodesic equation to a
    few roundings by collocation; their derivatives are those of the iteration. `log` shoots: Newton's
    method from the straight line of the chart, continued along that line where it does not converge at once. The
    geodesic that it finds is the one that the straight line deforms to; it is the shortest unless a cut locus lies in
    between, which a metric alone does not tell. The derivatives of `log` are those of the implicit function theorem,
    right to second order.

    Args:
        dim: Dimension, at least 1.
        metric_fn: From points `(*batch, dim)` to symmetric positive definite matrices `(*batch, dim, dim)`, of torch
            operations; `torch.func.vmap` turns a function of one point into such a function. A network is fine.
        domain: Pairs of bounds, one an axis, which may be infinite; or a function from points to booleans; or None for
            all of R^dim.
        periodic: The axes whose two bounds are the same point, such as an angle's 0 and 2π.
        origin: A point of the domain; by default 0 where it lies inside, else the middle of the bounds.
        volume: The volume, if known. By default it is integrated where all bounds are finite, else taken as infinite.

    Raises:
        OptionError: An argument is out of range.
        ShapeError: The metric has the wrong shape.
        PointError: The origin lies outside the domain, or the metric there is not symmetric and positive definite.

    Example:
        The sphere of radius 1 in stereographic coordinates; the origin is the north pole:

        >>> import torch, rmatch as rm
        >>> def stereographic(x):
        ...     scale = 4 / (1 + x.square().sum(-1)) ** 2
        ...     return scale[..., None, None] * torch.eye(2, dtype=x.dtype)
        >>> M = rm.ChartManifold(2, stereographic)
        >>> north, equator = torch.zeros(2, dtype=torch.float64), torch.tensor([1.0, 0.0], dtype=torch.float64)
        >>> round(float(M.dist(north, equator)), 12)  # a quarter turn
        1.570796326795
    """

    def __init__(
        self,
        dim: int,
        metric_fn: MetricFunction,
        *,
        domain: Sequence[tuple[float, float]] | Predicate | None = None,
        periodic: Sequence[int] = (),
        origin: Sequence[float] | None = None,
        volume: float | None = None,
    ) -> None:
        if dim < 1:
            raise OptionError(f"a chart has dimension 1 or more, got ChartManifold({dim}, ...)")
        self.dim = dim
        self.point_shape = (dim,)
        self.metric_fn = metric_fn
        self._predicate = domain if callable(domain) else None
        self._box = Box.of(dim, None if callable(domain) else domain, periodic)
        self._origin = self._choose_origin(origin)
        self.require_point(torch.tensor(self._origin, dtype=torch.float64))
        self.volume = math.inf
        if volume is not None:
            self.volume = float(volume)
        elif self._box.bounded and self._predicate is None:
            self.volume = float(self.quadrature().weights.sum())

    # ---- metric -----------------------------------------------------------------------------------------------------

    def metric(self, x: Tensor) -> Tensor:
        """The matrix `g_ij(x)`, `(*batch, dim, dim)`; its symmetric part, so that round-off stays symmetric."""
        g = self._given_metric(x)
        return (g + g.mT) / 2

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """The product `g_ij u^i v^j`."""
        return ((self.metric(x) @ u.unsqueeze(-1)).squeeze(-1) * v).sum(-1)

    def sharp(self, x: Tensor, df: Tensor) -> Tensor:
        """The vector `g^{ij} df_j`."""
        return torch.cholesky_solve(df.unsqueeze(-1), self._factor(x)).squeeze(-1)

    def frame(self, x: Tensor) -> Tensor:
        """The rows of `L⁻¹` for the Cholesky factor of `g = L Lᵀ`: smooth in x."""
        factor = self._factor(x)
        unit = torch.eye(self.dim, dtype=x.dtype, device=x.device).expand_as(factor)
        return torch.linalg.solve_triangular(factor, unit, upper=False)

    def log_volume_density(self, x: Tensor) -> Tensor:
        """`½ log det g`, against the Lebesgue measure of the chart."""
        return self._factor(x).diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def volume_form(self, x: Tensor, vectors: Tensor) -> Tensor:
        """The oriented volume `√(det g) det(v_1, ..., v_dim)`."""
        return self.log_volume_density(x).exp() * torch.linalg.det(vectors)

    def christoffel(self, x: Tensor) -> Tensor:
        """The symbols `Γ^k_ij = ½ g^{kl} (∂_i g_lj + ∂_j g_li - ∂_l g_ij)`, `(*batch, k, i, j)`.

        Raises:
            PointError: The metric is not positive definite at a point.
        """
        units = torch.eye(self.dim, dtype=x.dtype, device=x.device)
        d = torch.stack([torch.func.jvp(self.metric, (x,), (e.expand_as(x),))[1] for e in units], -1)  # ∂_k g_ij
        lower = (d.mT + d - d.movedim(-1, -3)) / 2  # [..., l, i, j]
        return torch.cholesky_solve(lower.flatten(-2), self._factor(x)).reshape(lower.shape)

    # ---- geodesics --------------------------------------------------------------------------------------------------

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """The end of the geodesic with velocity `v`.

        Raises:
            PointError: `x` lies outside the domain.
            SolverError: The geodesic leaves the chart; the text names the row and how far it came.
        """
        x, v = torch.broadcast_tensors(x, v)
        return self.project(x + self._flow(x, self._lower(x, v).unsqueeze(-2))[..., 0, :])

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The initial velocity of the geodesic to `y` that the straight line of the chart deforms to.

        On a periodic axis the line goes the shorter way round.

        Raises:
            PointError: A point lies outside the domain.
            SolverError: No such geodesic was found; the text names the row and how far along the line it came.
        """
        x, y = torch.broadcast_tensors(x, y)
        d = self._box.difference(x, y)
        v, jacobian = cast("tuple[Tensor, Tensor]", OnValues.apply(self._aim, True, x.detach(), d.detach()))
        # Each Newton step with a constant Jacobian makes one more derivative with respect to x and y right.
        for _ in range(2 if torch.is_grad_enabled() else 1):
            miss = self._flow(x, self._lower(x, v).unsqueeze(-2))[..., 0, :] - d
            v = v - torch.linalg.solve(jacobian, miss.unsqueeze(-1)).squeeze(-1)
        return v

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """Parallel transport along the geodesic of `log(x, y)`, in one solve with it; errors as in `log`."""
        x, y, v = torch.broadcast_tensors(x, y, v)
        momentum, carried = self._lower(x, self.log(x, y)), self._lower(x, v)
        return self.sharp(y, self._flow(x, torch.stack([momentum, carried], -2))[..., 2, :])

    def geodesic_with_velocity(self, x: Tensor, y: Tensor, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """The point `γ(t)` and the velocity there, from one solve to the time t."""
        v, s = self.log(x, y), self._over_points(t)
        start, v, s = torch.broadcast_tensors(x, v, torch.as_tensor(s, dtype=x.dtype, device=x.device))
        state = self._flow(start, (s * self._lower(start, v)).unsqueeze(-2))
        point = self.project(start + state[..., 0, :])
        still = s == 0  # at t = 0 the momentum, scaled by t, says nothing
        return point, torch.where(still, v, self.sharp(point, state[..., 1, :]) / torch.where(still, 1.0, s))

    # ---- points -----------------------------------------------------------------------------------------------------

    def origin(self, *, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Tensor:
        """The origin that was given, or the default."""
        return torch.tensor(self._origin, dtype=dtype, device=device)

    def project(self, x: Tensor) -> Tensor:
        """Periodic coordinates brought between their bounds; the others as they are."""
        return self._box.wrap(x)

    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """`v`: in a chart every array is tangent."""
        return v.expand(torch.broadcast_shapes(x.shape, v.shape))

    def contains(self, x: Tensor) -> Tensor:
        """Whether points lie in the domain, booleans `(*batch)`."""
        inside = self._box.contains(x)
        return inside if self._predicate is None else inside & self._predicate(x)

    def features(self, x: Tensor) -> Tensor:
        """The coordinates; of a periodic one the cosine and sine of its angle."""
        columns: list[Tensor] = []
        for column, low, high, periodic in zip(x.unbind(-1), *self._box, strict=True):
            angle = (column - low) * (2 * math.pi / (high - low)) if periodic else column
            columns += [angle.cos(), angle.sin()] if periodic else [column]
        return torch.stack(columns, -1)

    def check_point(self, x: Tensor, *, tolerance: float | None = None) -> str | None:
        """What is wrong with `x` as points, or None: its shape, a value, a row outside the domain, or its metric."""
        del tolerance
        problem = self._check_array(x, "points")
        if problem is not None or x.numel() == 0:
            return problem
        x = x.detach()
        outside = ~self.contains(x) | (self.project(x) != x).any(-1)
        if bool(outside.any()):
            row, point = _first(outside), x[outside][0].tolist()
            return f"on {self!r}, row {row} at {_text(point)} lies outside the domain; drop it or move it inside"
        return self._check_metric(x)

    # ---- integration ------------------------------------------------------------------------------------------------

    def quadrature(
        self, degree: int = 60, *, dtype: torch.dtype = torch.float64, device: torch.device | None = None
    ) -> Quadrature:
        """Over bounds: Gauss–Legendre, on periodic axes the trapezoid rule, on unbounded ones a double-exponential one.

        Where that product has more than a million nodes, scrambled Sobol points. Where the domain is a function,
        importance sampling around the origin, as on any manifold.
        """
        if not self.quadrature_is_exact(degree):
            return super().quadrature(degree, dtype=dtype, device=device)
        nodes, weights = self._weighted(*self._box.rule(degree))
        return Quadrature(nodes.to(device, dtype), weights.to(device, dtype))

    def quadrature_is_exact(self, degree: int) -> bool:
        """Whether the product rule is used."""
        return self._predicate is None and self._box.rule_is_product(degree)

    def from_cube(self, u: Tensor) -> Quadrature:
        """The cube stretched over the bounds; where the domain is a function, the default."""
        return super().from_cube(u) if self._predicate is not None else self._weighted(*self._box.stretch(u))

    # ---- helpers ----------------------------------------------------------------------------------------------------

    def _weighted(self, nodes: Tensor, weights: Tensor) -> Quadrature:
        """Weights for the Lebesgue measure, turned into weights for the volume."""
        with torch.no_grad():
            return Quadrature(nodes, weights * self.log_volume_density(nodes).exp())

    def _given_metric(self, x: Tensor) -> Tensor:
        g, shape = self.metric_fn(x), (*x.shape, self.dim)
        if g.shape == shape:
            return g
        if g.shape == shape[-2:]:  # a constant
            return g.expand(shape)
        raise ShapeError(
            f"the metric of {self!r} has shape {tuple(g.shape)} at points {tuple(x.shape)}, expected {shape}; "
            "if it is written for one point, wrap it in torch.func.vmap"
        )

    def _lower(self, x: Tensor, v: Tensor) -> Tensor:
        return (self.metric(x) @ v.unsqueeze(-1)).squeeze(-1)

    def _factor(self, x: Tensor) -> Tensor:
        """The Cholesky factor of the metric."""
        g = self.metric(x)
        factor, info = torch.linalg.cholesky_ex(g)
        if readable(info) and bool((info > 0).any()):
            raise PointError(self._check_metric(x.detach()) or f"the metric of {self!r} is singular to round-off")
        return factor

    def _flow(self, x: Tensor, covectors: Tensor) -> Tensor:
        """The state at time 1: displacement, momentum, and what is carried along; from covectors `(*batch, k, dim)`."""
        state = torch.cat([torch.zeros_like(covectors[..., :1, :]), covectors], -2)
        if readable(x, covectors):
            solution = integrate(GeodesicEquation(self.metric, x), state, self.contains)
            self._require_arrival(x, solution.reached)
            return solution.state
        found = cast("Tensor", OnValues.apply(self._find_steps, False, x.detach(), state.detach())).tolist()
        steps = [(h, int(count)) for h, count in found]
        return integrate(GeodesicEquation(self.metric, x), state, self.contains, steps).state

    def _find_steps(self, x: Tensor, state: Tensor) -> Tensor:
        solution = integrate(GeodesicEquation(self.metric, x, plain=True), state, self.contains)
        self._require_arrival(x, solution.reached)
        return torch.tensor(solution.steps, dtype=torch.float64)

    def _require_arrival(self, x: Tensor, reached: Tensor) -> None:
        lost = reached < 1
        if not bool(lost.any()):
            return
        self._require_inside(x.detach())
        row, t = _first(lost), float(reached[lost].flatten()[0])
        raise SolverError(
            f"on {self!r}, the geodesic of row {row} leaves the chart, or its metric blows up, at {t:.6g} of its "
            "length; shorten the tangent vector, or use a chart that covers more"
        )

    def _require_inside(self, x: Tensor) -> None:
        if bool((~self.contains(x)).any()):
            self.require_point(self.project(x))

    def _aim(self, x: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
        """The initial velocity of the geodesic with displacement `d`, and d(displacement)/d(velocity)."""
        self._require_inside(x)
        self._require_inside(x + d)
        frame = self.frame(x).reshape(-1, self.dim, self.dim)  # rows; v = c E
        there, aims = x.reshape(-1, self.dim), d.reshape(-1, self.dim)

        def fire(rows: Tensor, c: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
            displacement, slope = self._displacement_and_slope(there[rows], c, frame[rows])
            past_conjugate = (torch.linalg.det(slope) <= 0)[:, None]  # an orientation that flips: no longer shortest
            miss = displacement - goal.unsqueeze(-1) * aims[rows]
            return torch.where(past_conjugate, torch.nan, miss), slope

        first = torch.linalg.solve(frame.mT, aims.unsqueeze(-1)).squeeze(-1)
        aim = shoot(fire, first)
        self._require_hit(aim.reached.reshape(x.shape[:-1]))
        v = (aim.coefficients.unsqueeze(-2) @ frame).reshape(x.shape)
        return v, torch.linalg.solve(frame, aim.jacobian.mT).mT.reshape(*x.shape, self.dim)

    def _displacement_and_slope(self, x: Tensor, c: Tensor, frame: Tensor) -> tuple[Tensor, Tensor]:
        """`exp_x(cE) - x` and its derivative by c, `(n, dim, dim)`, NaN where the geodesic leaves the chart.

        The derivative is a central difference, whose 2 dim solves share their steps and cost hardly more than one; it
        is good to about 1e-10, and each step of Newton's method gains that factor.
        """
        length = torch.linalg.vector_norm(c, dim=-1, keepdim=True)
        shift = torch.finfo(c.dtype).eps ** (1 / 3) * torch.where(length > 0, length, 1.0)
        moves = torch.eye(self.dim, dtype=c.dtype, device=c.device).unsqueeze(1) * shift  # [dim, n, dim]
        all_c = torch.cat([c.unsqueeze(0), c + moves, c - moves])
        there = x.expand_as(all_c)
        momentum = self._lower(there, (all_c.unsqueeze(-2) @ frame).squeeze(-2))
        state = torch.stack([torch.zeros_like(momentum), momentum], -2)
        end = integrate(GeodesicEquation(self.metric, there, plain=True), state, self.contains).state[..., 0, :]
        slope = (end[1 : self.dim + 1] - end[self.dim + 1 :]) / (2 * shift)
        return end[0], slope.movedim(0, -1)

    def _require_hit(self, reached: Tensor) -> None:
        missed = reached < 1
        if bool(missed.any()):
            row, t = _first(missed), float(reached[missed].flatten()[0])
            raise SolverError(
                f"on {self!r}, the shot from x to y of row {row} converges only up to {t:.3g} of the straight line; "
                "a conjugate point or the edge of the chart may lie between: take points that are closer, or a chart "
                "in which the line between them stays away from the edge"
            )

    def _check_metric(self, x: Tensor) -> str | None:
        g = self._given_metric(x)
        flaws: list[tuple[Tensor, Callable[[Tensor], str]]] = []
        flaws.append((~g.isfinite().flatten(-2).all(-1), lambda bad: "is not finite"))
        uneven = (g - g.mT).abs().flatten(-2).amax(-1)
        scale = g.abs().flatten(-2).amax(-1)
        flaws.append((uneven > 1e3 * torch.finfo(g.dtype).eps * scale, _asymmetry))
        flaws.append((torch.linalg.cholesky_ex((g + g.mT) / 2)[1] > 0, _smallest_eigenvalue))
        for mask, describe in flaws:
            if bool(mask.any()):
                what, point = describe(g[mask][0]), x[mask][0].tolist()
                return f"the metric of {self!r} {what} at row {_first(mask)}, the point {_text(point)}; mend metric_fn"
        return None

    def _choose_origin(self, origin: Sequence[float] | None) -> tuple[float, ...]:
        if origin is not None:
            return tuple(float(value) for value in origin)
        zero = torch.zeros(self.dim, dtype=torch.float64)
        inside = bool(self.contains(zero)) and bool((self.project(zero) == zero).all())
        return (0.0,) * self.dim if inside else self._box.middle()

    def __repr__(self) -> str:
        """The dimension and the metric's name."""
        name = getattr(self.metric_fn, "__name__", type(self.metric_fn).__name__)
        return f"ChartManifold({self.dim}, {name})"

    def __eq__(self, other: object) -> bool:
        """Whether the two have the same function as their metric, on the same domain."""
        return isinstance(other, ChartManifold) and self._key() == other._key()

    def __hash__(self) -> int:
        """Consistent with equality."""
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        return (self.dim, self.metric_fn, self._box, self._predicate, self._origin)


def _asymmetry(g: Tensor) -> str:
    return f"is not symmetric (it differs from its transpose by {float((g - g.mT).abs().amax()):.3g})"


def _smallest_eigenvalue(g: Tensor) -> str:
    smallest = float(torch.linalg.eigvalsh((g + g.mT) / 2)[0])
    return f"is not positive definite (smallest eigenvalue {smallest:.3g})"


def _first(mask: Tensor) -> str:
    return ", ".join(map(str, mask.nonzero()[0].tolist())) or "0"


def _text(point: list[float]) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in point) + ")"
