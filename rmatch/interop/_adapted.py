"""An rmatch manifold out of a few functions of somebody else's.

Their points lie on a submanifold of R^k with any metric g. The reference measure is the surface measure of the
submanifold: `coordinate_frame` is orthonormal in R^k, and the trace over it of the derivative is the divergence for
that measure. The density of dV_g against it is √det g(E_i, E_j) on that frame E, which depends on the tangent space and
not on the frame; `log_volume_density` is its logarithm, so that the derivative of the density makes the divergence that
of g. For the metric that R^k induces it is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from rmatch._errors import SolverError
from rmatch._numerics import orthonormalise, standard_normal
from rmatch._typing import Shape
from rmatch.distributions.uniform import sample_uniform
from rmatch.interop._transport import solve_transport, value_and_rate
from rmatch.manifolds import Manifold, Quadrature
from rmatch.manifolds._geodesic_equation import OnValues
from rmatch.manifolds._shooting import search, shoot

Map = Callable[..., Tensor]

AGREES = 1e-6
"""How far numbers of order 1 may be off: what a peer's own safeguards near 0 may cost."""


@dataclass(frozen=True)
class Peer:
    """The functions that somebody else supplies; arrays are `(N, *shape)`, one batch axis, all of one length.

    Attributes:
        name: What `repr` shows.
        inner: `(x, u, v)` to `(N)`.
        exp: `(x, v)`.
        log: `(x, y)`, or None.
        project: `(x)`.
        to_tangent: `(x, v)`.
        transport: `(x, y, v)`, or None.
        dist: `(x, y)` to `(N)`, or None for the length of `log`.
    """

    name: str
    inner: Map
    exp: Map
    project: Map
    to_tangent: Map
    log: Map | None = None
    transport: Map | None = None
    dist: Map | None = None


def as_it_is(peer: Peer, origin: Tensor, volume: float, *, homogeneous: bool) -> Manifold:
    """The peer's manifold with its functions as they are; arguments as for `adapt`."""
    return (_Homogeneous if homogeneous else _Adapted)(peer, origin, volume)


class _Adapted(Manifold):
    """A manifold whose geometry is a peer's, and whose calculus is the default."""

    def __init__(self, peer: Peer, origin: Tensor, volume: float) -> None:
        self.peer = peer
        self.point_shape: Shape = tuple(origin.shape)
        self.volume = volume
        self._origin = origin.detach().to(torch.float64)
        projector = self._tangent_basis(self._origin).reshape(origin.numel(), origin.numel())
        self.dim = round(float(projector.trace()))  # of a projection, orthogonal or not, the trace is the rank

    # ---- the peer's geometry ----------------------------------------------------------------------------------------

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """The peer's metric."""
        return self._call(self.peer.inner, x, u, v, scalar=True)

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """The peer's exponential."""
        return self._call(self.peer.exp, x, v)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The peer's logarithm, or else by shooting, first in the direction of the chord from `x` to `y`.

        Where that does not converge at once, as to far points, it is the shortest geodesic that a search in many
        directions finds.

        Raises:
            SolverError: The shot does not converge; the text names the row.
        """
        if self.peer.log is not None:
            return self._call(self.peer.log, x, y)
        x, y = torch.broadcast_tensors(x, y)
        c, jacobian = cast("tuple[Tensor, Tensor]", OnValues.apply(self._aim, True, x.detach(), y.detach()))
        frame = self.frame(x).flatten(-len(self.point_shape))
        # Each Newton step with a constant Jacobian makes one more derivative with respect to x and y right.
        for _ in range(2 if torch.is_grad_enabled() else 1):
            miss = self._miss(x, y, self._combine(c, frame))
            c = c - torch.linalg.solve(jacobian, miss.unsqueeze(-1)).squeeze(-1)
        return self._combine(c, frame)

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """The length of the logarithm, or the peer's distance where that is examined."""
        if self.peer.dist is not None:
            return self._call(self.peer.dist, x, y, scalar=True)
        return super().dist(x, y)

    def origin(self, *, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Tensor:
        """The origin that was given, or the peer's."""
        return self._origin.to(device, torch.get_default_dtype() if dtype is None else dtype)

    def project(self, x: Tensor) -> Tensor:
        """The peer's projection to the manifold."""
        return self._call(self.peer.project, x)

    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """The peer's projection to the tangent space."""
        return self._call(self.peer.to_tangent, x, v)

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """The peer's parallel transport, or else the solution of its equation along the geodesic of `log(x, y)`.

        Raises:
            SolverError: The points are too far apart for the equation to be solved in `_MOST_PIECES` pieces.
        """
        if self.peer.transport is not None:
            return self._call(self.peer.transport, x, y, v)
        x, y, v = torch.broadcast_tensors(x, y, v)
        return self.to_tangent(y, solve_transport(self, x, self.log(x, y), v))

    def geodesic_with_velocity(self, x: Tensor, y: Tensor, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """The point `γ(t)` and the velocity there, a derivative of `exp`."""
        x, v = torch.broadcast_tensors(x, self.log(x, y))
        s = torch.as_tensor(self._over_points(t), dtype=x.dtype, device=x.device).broadcast_to(x.shape).clone()
        return value_and_rate(lambda s: self.exp(x, s * v), s)

    # ---- what follows from it ---------------------------------------------------------------------------------------

    def is_minimising(self, x: Tensor, v: Tensor) -> Tensor:
        """Whether the distance to `exp_x(v)` is the length of `v`, to the digits that peers' distances have."""
        length = self.norm(x, v)
        return length - self.dist(x, self.exp(x, v)) <= AGREES * (1 + length)

    def sharp(self, x: Tensor, df: Tensor) -> Tensor:
        """The vector `Σ_a df(e_a) e_a` over an orthonormal frame."""
        frame = self.frame(x).flatten(-len(self.point_shape))
        values = (frame @ df.flatten(-len(self.point_shape)).unsqueeze(-1)).squeeze(-1)
        return self._combine(values, frame)

    def coordinate_frame(self, x: Tensor) -> Tensor:
        """A basis of the tangent space that is orthonormal in R^k."""
        basis = self._tangent_basis(x).flatten(-len(self.point_shape))
        rows = orthonormalise(basis, basis @ basis.mT, self.dim)
        return rows.reshape(*self._batch(x), self.dim, *self.point_shape)

    def log_volume_density(self, x: Tensor) -> Tensor:
        """`½ log det g(E_i, E_j)` on `coordinate_frame`, against the surface measure in R^k."""
        return torch.linalg.slogdet(self._gram(x, self.coordinate_frame(x)))[1] / 2

    def features(self, x: Tensor) -> Tensor:
        """The ambient coordinates, flat."""
        return x.flatten(-len(self.point_shape))

    @property
    def span_size(self) -> int:
        """The size of an ambient array."""
        return math.prod(self.point_shape)

    def span(self, x: Tensor, coefficients: Tensor) -> Tensor:
        """The tangent part of an ambient array, smooth in `x`."""
        return self.to_tangent(x, coefficients.reshape(x.shape))

    def random_probe(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """A standard normal array, projected orthogonally in R^k: smooth in `x`, whatever frame is used for it."""
        frame = self.coordinate_frame(x).flatten(-len(self.point_shape))
        z = standard_normal(x.shape, x, generator).flatten(-len(self.point_shape))
        return self._combine((frame @ z.unsqueeze(-1)).squeeze(-1), frame)

    # ---- helpers ----------------------------------------------------------------------------------------------------

    def _call(self, function: Map, *arrays: Tensor, scalar: bool = False) -> Tensor:
        """The peer's function on arrays with one batch axis, which is all that some of them take."""
        rank = len(self.point_shape)
        batch = torch.broadcast_shapes(*(a.shape[: a.dim() - rank] for a in arrays))
        shape = batch if scalar else (*batch, *self.point_shape)
        if math.prod(batch) == 0:
            return arrays[0].new_zeros(shape)
        rows = [a.expand(*batch, *self.point_shape).reshape(-1, *self.point_shape) for a in arrays]
        return function(*rows).to(arrays[0].dtype).reshape(shape)

    def _combine(self, coefficients: Tensor, frame: Tensor) -> Tensor:
        flat = (coefficients.unsqueeze(-2) @ frame).squeeze(-2)
        return flat.reshape(*flat.shape[:-1], *self.point_shape)

    def _gap(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """`exp_x(v) - y`, flat: `(*batch, k)`."""
        return (self.exp(x, v) - y).flatten(-len(self.point_shape))

    def _miss(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """The coefficients of `exp_x(v) - y` on a basis at y that is orthonormal in R^k: `(*batch, dim)`."""
        basis = self.coordinate_frame(y).flatten(-len(self.point_shape))
        return (basis @ self._gap(x, y, v).unsqueeze(-1)).squeeze(-1)

    def _off(self, x: Tensor) -> float:
        """How close a geodesic must come to points that are off the manifold by that much, or by rounding.

        Numbers of float32 are off by 1e-7 when they are made float64.
        """
        if not x.numel():
            return 0.0
        rounding = 32 * torch.finfo(x.dtype).eps * (1 + float(x.abs().amax()))
        off = (self.project(x) - x).flatten(-len(self.point_shape))
        return rounding + 4 * float(torch.linalg.vector_norm(off, dim=-1).amax())

    def _aim(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Coefficients of the initial velocity on `frame(x)`, and the derivative of `_miss` by them."""
        rank, batch = len(self.point_shape), self._batch(x)
        there, goals = x.reshape(-1, *self.point_shape), y.reshape(-1, *self.point_shape)
        frame, basis = self.frame(there).flatten(-rank), self.coordinate_frame(goals).flatten(-rank)

        def fire(rows: Tensor, c: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
            del goal  # the whole way
            length = torch.linalg.vector_norm(c, dim=-1, keepdim=True)
            shift = torch.finfo(c.dtype).eps ** (1 / 3) * (1 + length)
            moves = torch.eye(self.dim, dtype=c.dtype, device=c.device).unsqueeze(1) * shift
            every = torch.cat([c.unsqueeze(0), c + moves, c - moves])  # [1 + 2 dim, n, dim]
            gap = self._gap(there[rows], goals[rows], self._combine(every, frame[rows]))
            slope = (gap[1 : self.dim + 1] - gap[self.dim + 1 :]) / (2 * shift)
            return gap[0], slope.movedim(0, -1)

        def fire_along(rows: Tensor, c: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
            gap, slope = fire(rows, c, goal)
            miss = (basis[rows] @ gap.unsqueeze(-1)).squeeze(-1)
            astray = torch.linalg.vector_norm(gap, dim=-1) > 2 * torch.linalg.vector_norm(miss, dim=-1) + floor
            return torch.where(astray.unsqueeze(-1), torch.nan, miss), basis[rows] @ slope

        chord = self.to_tangent(there, goals - there)
        vectors = frame.reshape(len(there), self.dim, *self.point_shape)
        first = self.inner(there.unsqueeze(1), vectors, chord.unsqueeze(1))
        floor = self._off(x) + self._off(y)
        c, jacobian, reached = shoot(fire_along, first, floor, shortest_stride=1.0)
        missed = (reached < 1).nonzero().squeeze(-1)
        if len(missed):
            c[missed], hit = search(fire, missed, _directions(self.dim).to(first), floor)
            jacobian[missed] = basis[missed] @ fire(missed, c[missed], reached)[1]
            self._require_hit(missed[~hit], batch)
        return c.reshape(*batch, self.dim), jacobian.reshape(*batch, self.dim, self.dim)

    def _require_hit(self, missed: Tensor, batch: Shape) -> None:
        if len(missed):
            row = ", ".join(str(int(i)) for i in torch.unravel_index(missed[0], batch)) if batch else "0"
            raise SolverError(
                f"on {self!r}, no geodesic from x to y of row {row} was found, neither along the chord nor in "
                f"{_STARTS} other directions; take points that are closer"
            )

    def __repr__(self) -> str:
        """The call that made it."""
        return self.peer.name


class _Homogeneous(_Adapted):
    """One on which rotations act: a normal array has no preferred direction, so projected it is uniform."""

    @property
    def cube_size(self) -> int:
        """The size of an ambient array."""
        return math.prod(self.point_shape)

    def from_cube(self, u: Tensor) -> Quadrature:
        """Normal arrays, projected, with equal weights."""
        nodes = self.project(torch.special.ndtri(u).reshape(-1, *self.point_shape))
        return Quadrature(nodes, u.new_full((len(u),), self.volume))


@sample_uniform.register
def _sample_homogeneous(
    manifold: _Homogeneous,
    shape: Shape,
    generator: torch.Generator | None,
    dtype: torch.dtype,
    device: torch.device | None,
) -> Tensor:
    size = (*shape, *manifold.point_shape)
    return manifold.project(torch.randn(size, generator=generator, dtype=dtype, device=device))


_STARTS = 32


def _directions(dim: int) -> Tensor:
    """Tangent vectors in all directions, up to half a turn long: first guesses of a search, the same ones each time."""
    z = torch.randn(_STARTS, dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    lengths = math.pi * torch.arange(1, _STARTS + 1, dtype=torch.float64) / _STARTS
    return z / torch.linalg.vector_norm(z, dim=-1, keepdim=True) * lengths.unsqueeze(-1)
