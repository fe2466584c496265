"""The manifold contract: what a member supplies, and what everyone gets from it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Literal, overload

import torch
from torch import Tensor

import rmatch.manifolds._calculus as _calculus
import rmatch.manifolds._quadrature as _quadrature
from rmatch._errors import PointError, TangentError
from rmatch._numerics import orthonormalise, sqrt, standard_normal
from rmatch._typing import ScalarFunction, Shape, TangentFunction
from rmatch.manifolds._quadrature import Integral, Quadrature

__all__ = ["Integral", "Manifold", "Quadrature"]

DivergenceMethod = Literal["exact", "hutchinson"]


class Manifold(ABC):
    """A Riemannian manifold (M, g) whose points are tensors `(*batch, *point_shape)`.

    Every method broadcasts over the batch, keeps dtype and device, is differentiable twice, and works under
    `torch.func` transforms and `torch.compile`. The base point comes first; x, y are points, u, v tangent vectors.
    A member supplies the abstract methods and may override any other by a closed form.

    Attributes:
        dim: Dimension of the manifold.
        point_shape: Shape of one point in the member's coordinates.
        volume: Riemannian volume, `inf` where it is infinite.
    """

    dim: int
    point_shape: Shape
    volume: float

    # ---- what a member supplies -------------------------------------------------------------------------------------

    @abstractmethod
    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """The metric `g_x(u, v)`, shape `(*batch)`."""

    @abstractmethod
    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """The point reached at time 1 by the geodesic that leaves `x` with velocity `v`."""

    @abstractmethod
    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The initial velocity at `x` of a minimising geodesic to `y`; at the cut locus, one fixed choice of it."""

    @abstractmethod
    def origin(self, *, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Tensor:
        """A distinguished point, shape `point_shape`."""

    @abstractmethod
    def project(self, x: Tensor) -> Tensor:
        """The nearest point of the manifold, for coordinates near it."""

    @abstractmethod
    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """The orthogonal projection of an array `v` of the point's shape to the tangent space at `x`."""

    @abstractmethod
    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """Parallel transport of `v` from `x` to `y` along the geodesic of `log(x, y)`: an isometry."""

    @abstractmethod
    def sharp(self, x: Tensor, df: Tensor) -> Tensor:
        """The tangent vector `df♯` with `g(df♯, v) = Σ df_i v_i` for every tangent `v`."""

    @abstractmethod
    def log_volume_density(self, x: Tensor) -> Tensor:
        """The logarithm of `dV_g` against the coordinates' reference measure, shape `(*batch)`."""

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Smooth functions on the manifold that separate its points, for a network: `(*batch, k)`."""

    # ---- metric -----------------------------------------------------------------------------------------------------

    def norm(self, x: Tensor, u: Tensor) -> Tensor:
        """The length `sqrt(g_x(u, u))` of a tangent vector, shape `(*batch)`; its derivative at u = 0 is 0."""
        return sqrt(self.inner(x, u, u))

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """The geodesic distance, shape `(*batch)`."""
        return self.norm(x, self.log(x, y))

    def metric(self, x: Tensor) -> Tensor:
        """The Gram matrix `G_ij = g(P e_i, P e_j)` of the coordinate vectors' tangent parts, `(*batch, k, k)`.

        `uᵀ G v = g(u, v)` for tangent vectors as flat arrays of length k; G has rank `dim`.
        """
        return self._gram(x, self._tangent_basis(x))

    def frame(self, x: Tensor) -> Tensor:
        """A g-orthonormal basis of the tangent space at `x`: `(*batch, dim, *point_shape)`."""
        basis = self._tangent_basis(x)
        rows = orthonormalise(basis.flatten(-len(self.point_shape)), self._gram(x, basis), self.dim)
        return rows.reshape(*self._batch(x), self.dim, *self.point_shape)

    def coordinate_frame(self, x: Tensor) -> Tensor:
        """A basis of the tangent space that is orthonormal for the reference measure of `log_volume_density`.

        The default is the basis of unit coordinate vectors, for a manifold that is an open set of its coordinates.
        """
        size = math.prod(self.point_shape)
        basis = torch.eye(size, dtype=x.dtype, device=x.device).reshape(size, *self.point_shape)
        return basis.expand(*self._batch(x), size, *self.point_shape)

    def coordinate_covector(self, v: Tensor) -> Tensor:
        """The covector that pairs with a vector `v` of `coordinate_frame` in the trace of a derivative.

        The default is `v` itself: the reference measure is that of Euclidean coordinates.
        """
        return v

    @property
    def span_size(self) -> int:
        """How many coefficients `span` takes."""
        return self.dim

    def span(self, x: Tensor, coefficients: Tensor) -> Tensor:
        """The tangent vector at `x` that `span_size` free numbers mean: what turns a network into a vector field.

        It is linear in the coefficients, reaches every tangent vector, and is smooth in `x`. The default combines
        `frame(x)`, for a manifold whose frame is smooth everywhere.

        Args:
            x: Points `(*batch, *point_shape)`.
            coefficients: Numbers `(*batch, span_size)`.
        """
        rank = len(self.point_shape)
        return (coefficients.unsqueeze(-2) @ self.frame(x).flatten(-rank)).reshape(x.shape)

    def random_tangent(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """A standard normal vector in the tangent space: independent N(0, 1) coefficients on `frame(x)`."""
        batch = self._batch(x)
        z = standard_normal((*batch, self.dim), x, generator)
        flat = self.frame(x).flatten(-len(self.point_shape))
        return (z.unsqueeze(-2) @ flat).reshape(x.shape)

    def random_probe(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """A standard normal combination of `coordinate_frame(x)`, smooth in `x` where that frame is."""
        frame = self.coordinate_frame(x)
        rank = len(self.point_shape)
        z = standard_normal(frame.shape[:-rank], x, generator)
        return (z.unsqueeze(-2) @ frame.flatten(-rank)).reshape(x.shape)

    # ---- geodesics --------------------------------------------------------------------------------------------------

    def geodesic(self, x: Tensor, y: Tensor, t: Tensor | float) -> Tensor:
        """The point `exp_x(t log_x y)`; `t` is a number or `(*batch)`."""
        return self.exp(x, self._over_points(t) * self.log(x, y))

    def geodesic_with_velocity(self, x: Tensor, y: Tensor, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """The point `γ(t) = exp_x(t log_x y)` and the velocity `dγ/dt` there, which is `log_x y` transported."""
        v = self.log(x, y)
        point = self.exp(x, self._over_points(t) * v)
        return point, self.transport(x, point, v)

    def log_det_exp(self, x: Tensor, v: Tensor) -> Tensor:
        """`log |det d(exp_x)_v|` between orthonormal frames, shape `(*batch)`; by autodiff unless overridden."""
        columns: list[Tensor] = []
        y = self.exp(x, v)
        for direction in self.frame(x).unbind(len(self._batch(x))):
            column = torch.func.jvp(lambda w: self.exp(x, w), (v,), (direction.expand_as(v),))[1]
            columns.append(column.to(y.dtype))  # torch 2.13: the tangent of 0.5 * z is float64 where z has no axes
        return self.volume_form(y, torch.stack(columns, len(self._batch(y)))).abs().log()

    def is_minimising(self, x: Tensor, v: Tensor) -> Tensor:
        """Whether the geodesic `exp_x(s v)`, 0 <= s <= 1, ends before the cut locus: booleans `(*batch)`.

        The default is True everywhere, right where `exp` is a diffeomorphism.
        """
        return torch.ones(torch.broadcast_shapes(self._batch(x), self._batch(v)), dtype=torch.bool, device=x.device)

    # ---- calculus ---------------------------------------------------------------------------------------------------

    def volume_form(self, x: Tensor, vectors: Tensor) -> Tensor:
        """`dV_g` on `dim` tangent vectors `(*batch, dim, *point_shape)`: their volume `sqrt(det g(v_i, v_j))`."""
        return torch.linalg.det(self._gram(x, vectors)).clamp_min(0.0).sqrt()

    def gradient(self, f: ScalarFunction) -> TangentFunction:
        """The Riemannian gradient of `f` as a function of the point: `g(∇f, v) = df(v)`."""
        return _calculus.gradient(self, f)

    def divergence(
        self,
        field: TangentFunction,
        *,
        method: DivergenceMethod = "exact",
        probes: int = 1,
        generator: torch.Generator | None = None,
    ) -> ScalarFunction:
        """The Riemannian divergence `Σ_i <∇_{e_i} V, e_i>` of a vector field, as a function of the point.

        Args:
            field: Batched vector field.
            method: `"exact"` takes `dim` vector-Jacobian products; `"hutchinson"` takes one per probe and is unbiased.
            probes: Number of tangent probes of the Hutchinson estimate.
            generator: Source of the probes.
        """
        evaluate = self.value_and_divergence(field, method=method, probes=probes, generator=generator)
        return lambda x: evaluate(x)[1]

    def value_and_divergence(
        self,
        field: TangentFunction,
        *,
        method: DivergenceMethod = "exact",
        probes: int = 1,
        generator: torch.Generator | None = None,
    ) -> _calculus.ValueAndScalar:
        """The field and its divergence, both from one forward pass; arguments as for `divergence`."""
        return _calculus.value_and_divergence(self, field, method=method, probes=probes, generator=generator)

    def laplacian(self, f: ScalarFunction) -> ScalarFunction:
        """The Laplace–Beltrami operator `Δf = Div(∇f)`, as a function of the point."""
        return self.divergence(self.gradient(f))

    def density_drift(self, x: Tensor, v: Tensor) -> Tensor | None:
        """The derivative `v(log ρ)` of the volume density along `v`, or None where the density is constant."""
        return _calculus.directional_derivative(self.log_volume_density, x, v)

    # ---- integration ------------------------------------------------------------------------------------------------

    def quadrature(
        self, degree: int = 60, *, dtype: torch.dtype = torch.float64, device: torch.device | None = None
    ) -> Quadrature:
        """Nodes and weights for `∫ f dV_g`; `quadrature_is_exact(degree)` says whether the rule is spectral.

        The default is importance sampling by `exp` of a normal law at the origin with quasi-random points, of which
        those beyond the cut locus count nothing.
        """
        return _quadrature.sequence_rule(self, degree, dtype, device)

    def quadrature_is_exact(self, degree: int) -> bool:
        """Whether `quadrature(degree)` is exact for smooth functions of that degree (else it is quasi-Monte Carlo)."""
        del degree
        return False

    @property
    def cube_size(self) -> int:
        """How many numbers `from_cube` takes for a point."""
        return self.dim

    def from_cube(self, u: Tensor) -> Quadrature:
        """Points for rows `(N, cube_size)` of the unit cube, with weights of which `Σ w_k f(x_k) / N ≈ ∫ f dV_g`."""
        return _quadrature.importance_points(self, u)

    @overload
    def integrate(self, f: ScalarFunction, *, degree: int = 60, with_error: Literal[False] = False) -> Tensor: ...
    @overload
    def integrate(self, f: ScalarFunction, *, degree: int = 60, with_error: Literal[True]) -> Integral: ...
    def integrate(self, f: ScalarFunction, *, degree: int = 60, with_error: bool = False) -> Tensor | Integral:
        """`∫ f dV_g` by `quadrature(degree)` in float64.

        Args:
            f: Batched function of points.
            degree: Degree of the rule; a quasi-Monte Carlo rule takes more nodes for a higher degree.
            with_error: Return an `Integral` with an error estimate: the difference to a rule of two thirds the degree
                where the rule is exact, the standard error over independent scramblings where it is quasi-Monte Carlo.
        """
        value, error = _quadrature.integrate(self, f, degree, with_error)
        return Integral(value, error) if with_error else value

    # ---- what a solver asks -----------------------------------------------------------------------------------------

    def contains(self, x: Tensor) -> Tensor | None:
        """Where coordinates lie in the open set that the manifold is, `(*batch)`; None where `project` takes any."""
        del x
        return None

    def magnitude(self, x: Tensor) -> Tensor:
        """The size that a relative tolerance refers to, for each coordinate: 1 unless coordinates have no bound."""
        return torch.ones_like(x)

    def resolution(self, x: Tensor) -> Tensor | float:
        """The length below which no step can be told from rounding, `(*batch)`: 0 where coordinates are fine enough."""
        del x
        return 0.0

    def error_size(self, x: Tensor, y: Tensor, v: Tensor, *, rtol: float, atol: float) -> Tensor:
        """How large an error `v` of a step from `x` to `y` is, in units of the tolerance: `(*batch)`.

        It is the root mean square of its coefficients on a frame, so a tolerance means the same length everywhere.
        """
        del y
        return self.norm(x, self.to_tangent(x, v)) / (math.sqrt(self.dim) * (atol + rtol + self.resolution(x)))

    # ---- checks -----------------------------------------------------------------------------------------------------

    def check_point(self, x: Tensor, *, tolerance: float | None = None) -> str | None:
        """What is wrong with `x` as a tensor of points, or None: its shape, a value, its distance to the manifold.

        Args:
            x: The tensor to look at.
            tolerance: Allowed distance to the manifold; by default 1e-8 in float64 and 1e-5 in float32.
        """
        problem = self._check_array(x, "points")
        if problem is not None or x.numel() == 0:
            return problem
        return self._check_gap(x, x, self.project(x), "is {gap:.2g} off the manifold", "use project(x)", tolerance)

    def check_tangent(self, x: Tensor, v: Tensor, *, tolerance: float | None = None) -> str | None:
        """What is wrong with `v` as tangent vectors at `x`, or None; the tolerance is relative to the vector's size."""
        problem = self._check_array(v, "tangent vectors")
        if problem is not None or v.numel() == 0:
            return problem
        scale = 1.0 + v.detach().abs().amax()
        return self._check_gap(
            v,
            v / scale,
            self.to_tangent(x, v) / scale,
            "has a normal part of {gap:.2g}",
            "use to_tangent(x, v)",
            tolerance,
        )

    def require_point(self, x: Tensor, *, tolerance: float | None = None) -> None:
        """Raise `PointError` with the text of `check_point` where `x` does not hold points."""
        if (problem := self.check_point(x, tolerance=tolerance)) is not None:
            raise PointError(problem)

    def require_tangent(self, x: Tensor, v: Tensor, *, tolerance: float | None = None) -> None:
        """Raise `TangentError` with the text of `check_tangent` where `v` is not tangent at `x`."""
        if (problem := self.check_tangent(x, v, tolerance=tolerance)) is not None:
            raise TangentError(problem)

    # ---- helpers ----------------------------------------------------------------------------------------------------

    def _batch(self, x: Tensor) -> Shape:
        return tuple(x.shape[: x.dim() - len(self.point_shape)])

    def _over_points(self, t: Tensor | float) -> Tensor | float:
        """A time `(*batch)` shaped so that it multiplies points."""
        if not isinstance(t, Tensor) or t.dim() == 0:
            return t
        if len(self.point_shape) == 1:
            return t.unsqueeze(-1)
        return t.reshape(*t.shape, *(1 for _ in self.point_shape))

    def _tangent_basis(self, x: Tensor) -> Tensor:
        """The tangent parts of all unit coordinate vectors: `(*batch, k, *point_shape)`."""
        size = math.prod(self.point_shape)
        basis = torch.eye(size, dtype=x.dtype, device=x.device).reshape(size, *self.point_shape)
        there = x.unsqueeze(len(self._batch(x)))
        return self.to_tangent(there, basis.expand(*self._batch(x), size, *self.point_shape))

    def _gram(self, x: Tensor, vectors: Tensor) -> Tensor:
        axis = len(self._batch(x))
        there = x.unsqueeze(axis).unsqueeze(axis)
        return self.inner(there, vectors.unsqueeze(axis + 1), vectors.unsqueeze(axis))

    def _check_array(self, x: Tensor, what: str) -> str | None:
        rank = len(self.point_shape)
        if x.dim() < rank or tuple(x.shape[x.dim() - rank :]) != self.point_shape:
            wanted = ", ".join(("*batch", *map(str, self.point_shape)))
            return f"{what} on {self!r} have shape ({wanted}), got {tuple(x.shape)}"
        if not x.is_floating_point():
            return f"{what} on {self!r} are floating-point numbers, got {x.dtype}; convert with .to(torch.float64)"
        if x.numel() and not bool(x.isfinite().all()):
            row = _first(~x.isfinite(), rank)
            return f"{what} on {self!r} must be finite, but row {row} is not; drop or mend that row"
        return None

    def _check_gap(
        self, x: Tensor, actual: Tensor, wanted: Tensor, problem: str, remedy: str, tolerance: float | None
    ) -> str | None:
        allowed = (1e-8 if x.dtype == torch.float64 else 1e-5) if tolerance is None else tolerance
        gap = (actual - wanted).detach().abs()
        worst = float(gap.amax())
        if worst <= allowed:
            return None
        row = _first(gap == gap.amax(), len(self.point_shape))
        return f"on {self!r}, row {row} {problem.format(gap=worst)}, more than {allowed:.0e}; {remedy} if that is meant"

    def __repr__(self) -> str:
        """The constructor call."""
        return f"{type(self).__name__}({self.dim})"

    def __eq__(self, other: object) -> bool:
        """Whether the two are the same manifold in the same coordinates."""
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        """Consistent with equality."""
        return hash(repr(self))


def _first(mask: Tensor, point_rank: int) -> str:
    """The batch index of the first row with a set entry, as a person writes it."""
    index = mask.nonzero()[0].tolist()
    batch = index[: len(index) - point_rank]
    return "0" if not batch else ", ".join(map(str, batch))
