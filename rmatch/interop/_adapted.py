"""An rmatch manifold out of a few functions of somebody else's.

Their points lie on a submanifold of R^k with any metric g. Two facts make the defaults right for all of them.

* Divergence. The reference measure is the surface measure of the submanifold: `coordinate_frame` is orthonormal in R^k,
  the trace over it of the derivative is the divergence for that measure, and `log_volume_density` is
  `½ log det g(E_i, E_j)` on that frame E, the density of dV_g against it; it depends on the tangent space and not on
  the frame. For the metric that R^k induces it is 0.
* Transport. Let P be any smooth family of projections to the tangent spaces and G(x) = Pᵀ g P. Then P D is a connection
  without torsion in which Pw, for a fixed array w, has derivative 0 at x; so the Levi-Civita connection differs from it
  as it differs from the partial derivatives in a chart: by C with `2 g(C(u, w), z) = ∂_u G(w, z) + ∂_w G(u, z) -
  ∂_z G(u, w)`. Hence w is parallel along a curve with velocity v where `w' = (∂_v P) w - C(v, w)`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from rmatch._errors import OptionError, SolverError
from rmatch._numerics import orthonormalise, standard_normal
from rmatch._typing import Shape
from rmatch.manifolds import Manifold
from rmatch.manifolds._geodesic_equation import CollocationRule, OnValues, readable
from rmatch.manifolds._shooting import shoot

Map = Callable[..., Tensor]


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
    """

    name: str
    inner: Map
    exp: Map
    project: Map
    to_tangent: Map
    log: Map | None = None
    transport: Map | None = None


def adapt(peer: Peer, origin: Tensor, volume: float) -> Manifold:
    """The peer's manifold, after a look at whether its functions are what they are called.

    A `log` that is missing, does not invert `exp` or has no finite derivative is replaced by shooting, and a
    `transport` that is missing or not parallel by the solution of its equation.

    Raises:
        OptionError: `to_tangent` is no projection, or `exp` does not start with its velocity or keep its speed.
    """
    manifold = _Adapted(peer, origin, volume)
    x = manifold.origin(dtype=torch.float64)
    _require(peer, "project is the identity on the manifold", manifold.project(x), x)
    basis = manifold.tangent_parts(x)
    _require(peer, "to_tangent is the identity on tangent vectors", manifold.to_tangent(x, basis), basis)
    generator = torch.Generator().manual_seed(0)
    u = 0.3 * manifold.random_tangent(x, generator=generator)
    w = manifold.random_tangent(x, generator=generator)
    _require(peer, "exp starts with the velocity that it is given", _velocity(manifold, x, u, 0.0), u)
    end = manifold.norm(manifold.exp(x, u), _velocity(manifold, x, u, 1.0))
    _require(peer, "geodesics keep their speed", end, manifold.norm(x, u))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", UserWarning)  # a log that warns has not converged
        log_is_right, transport_is_right = _log_is_right(manifold, x, u), _transport_is_right(manifold, x, u, w)
    return _Adapted(
        replace(peer, log=peer.log if log_is_right else None, transport=peer.transport if transport_is_right else None),
        origin,
        volume,
    )


def _require(peer: Peer, law: str, got: Tensor, expected: Tensor) -> None:
    gap = float((got - expected).abs().amax())
    if not gap <= _AGREES:
        raise OptionError(
            f"{peer.name} does not keep the law that {law}: it is off by {gap:.2g} at the origin (allowed "
            f"{_AGREES:.0e}); such a manifold cannot be adapted, use another variant of it"
        )


_AGREES = 1e-6  # of numbers of order 1: what a peer's own safeguards near 0 may cost


def _velocity(manifold: Manifold, x: Tensor, v: Tensor, t: float) -> Tensor:
    """The velocity of `exp_x(tv)`, by a difference of fourth order: it asks nothing of the peer's derivatives."""
    h = 1e-3
    near, far = (manifold.exp(x, (t + a) * v) - manifold.exp(x, (t - a) * v) for a in (h, 2 * h))
    return (8 * near - far) / (12 * h)


def _log_is_right(manifold: _Adapted, x: Tensor, u: Tensor) -> bool:
    if manifold.peer.log is None:
        return False
    y = manifold.exp(x, u).requires_grad_()
    try:
        v = manifold.log(x, y)
        (slope,) = torch.autograd.grad(v.sum(), y)
    except (NotImplementedError, RuntimeError, UserWarning):
        return False
    return float((v.detach() - u).abs().amax()) < _AGREES and bool(slope.isfinite().all())


def _transport_is_right(manifold: _Adapted, x: Tensor, u: Tensor, w: Tensor) -> bool:
    """Whether it keeps the angle to the geodesic and every length: a mere projection does not."""
    if manifold.peer.transport is None:
        return False
    y = manifold.exp(x, u)
    try:
        moved, along = manifold.transport(x, y, w), manifold.transport(x, y, u)
    except (NotImplementedError, UserWarning):
        return False
    kept = (manifold.inner(y, moved, moved) - manifold.inner(x, w, w)).abs() < _AGREES
    return bool(kept) and float((along - _velocity(manifold, x, u, 1.0)).abs().amax()) < _AGREES


class _Adapted(Manifold):
    """A manifold whose geometry is a peer's, and whose calculus is the default."""

    def __init__(self, peer: Peer, origin: Tensor, volume: float) -> None:
        self.peer = peer
        self.point_shape: Shape = tuple(origin.shape)
        self.volume = volume
        self._origin = origin.detach().to(torch.float64)
        projector = self.tangent_parts(self._origin).reshape(origin.numel(), origin.numel())
        self.dim = round(float(projector.trace()))  # of a projection, orthogonal or not, the trace is the rank

    # ---- the peer's geometry ----------------------------------------------------------------------------------------

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """The peer's metric."""
        return self._call(self.peer.inner, x, u, v, scalar=True)

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """The peer's exponential."""
        return self._call(self.peer.exp, x, v)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The peer's logarithm, or else by shooting: the geodesic that the chord from `x` to `y` deforms to.

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
        return _value_and_rate(lambda s: self.exp(x, s * v), s)

    # ---- what follows from it ---------------------------------------------------------------------------------------

    def sharp(self, x: Tensor, df: Tensor) -> Tensor:
        """The vector `Σ_a df(e_a) e_a` over an orthonormal frame."""
        frame = self.frame(x).flatten(-len(self.point_shape))
        values = (frame @ df.expand_as(x).flatten(-len(self.point_shape)).unsqueeze(-1)).squeeze(-1)
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

    def tangent_parts(self, x: Tensor) -> Tensor:
        """The tangent parts of all unit coordinate arrays: `(*batch, k, *point_shape)`."""
        return self._tangent_basis(x)

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

    def _miss(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """The coefficients of `exp_x(v) - y` on a basis at y that is orthonormal in R^k: `(*batch, dim)`."""
        rank = len(self.point_shape)
        gap = (self.exp(x, v) - y).flatten(-rank)
        return (self.coordinate_frame(y).flatten(-rank) @ gap.unsqueeze(-1)).squeeze(-1)

    def _aim(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Coefficients of the initial velocity on `frame(x)`, and the derivative of `_miss` by them."""
        rank, batch = len(self.point_shape), self._batch(x)
        there, goals = x.reshape(-1, *self.point_shape), y.reshape(-1, *self.point_shape)
        frame = self.frame(there).flatten(-rank)

        def fire(rows: Tensor, c: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
            start = there[rows]
            target = self.project(start + goal.reshape(-1, *(1 for _ in range(rank))) * (goals[rows] - start))
            length = torch.linalg.vector_norm(c, dim=-1, keepdim=True)
            shift = torch.finfo(c.dtype).eps ** (1 / 3) * torch.where(length > 0, length, 1.0)
            moves = torch.eye(self.dim, dtype=c.dtype, device=c.device).unsqueeze(1) * shift
            every = torch.cat([c.unsqueeze(0), c + moves, c - moves])  # [1 + 2 dim, n, dim]
            miss = self._miss(start, target, self._combine(every, frame[rows]))
            slope = (miss[1 : self.dim + 1] - miss[self.dim + 1 :]) / (2 * shift)
            return miss[0], slope.movedim(0, -1)

        chord = self.to_tangent(there, goals - there)
        first = self.inner(
            there.unsqueeze(1), frame.reshape(len(there), self.dim, *self.point_shape), chord.unsqueeze(1)
        )
        aim = shoot(fire, first)
        missed = (aim.reached < 1).reshape(batch)
        if bool(missed.any()):
            row = ", ".join(map(str, missed.nonzero()[0].tolist())) or "0"
            raise SolverError(
                f"on {self!r}, the shot from x to y of row {row} converges only up to "
                f"{float(aim.reached[aim.reached < 1][0]):.3g} of the chord; take points that are closer"
            )
        return aim.coefficients.reshape(*batch, self.dim), aim.jacobian.reshape(*batch, self.dim, self.dim)

    def __repr__(self) -> str:
        """The call that made it."""
        return self.peer.name


# ---- transport ------------------------------------------------------------------------------------------------------

_ITERATIONS = 24
_MOST_PIECES = 64


def solve_transport(manifold: Manifold, x: Tensor, velocity: Tensor, w: Tensor) -> Tensor:
    """Solve the equation of parallel transport along `exp_x(t velocity)`, by collocation in pieces of length 1."""
    length = manifold.norm(x, velocity)
    pieces = 1
    if length.numel():
        pieces = int(OnValues.apply(lambda a: torch.ceil(a.amax()).clamp(1, _MOST_PIECES), False, length.detach()))
    rule = CollocationRule.like(w)
    ones = torch.ones((), dtype=w.dtype, device=w.device)
    change = torch.zeros_like(length)
    for piece in range(pieces):
        t = ((piece + rule.times) / pieces).reshape(-1, *(1 for _ in x.shape))
        points, rates = _value_and_rate(lambda s, t=t: manifold.exp(x, (s * t) * velocity), ones)
        rates = rates / t
        nodes = w.expand_as(points)
        slopes = last = nodes
        for _ in range(_ITERATIONS):
            slopes = _parallel_rate(manifold, points, rates, nodes)
            new = torch.add(w, torch.tensordot(rule.integrals, slopes, 1), alpha=1 / pieces)
            nodes, last = new, (new - nodes).detach()
        change = torch.maximum(change, last.flatten(-len(manifold.point_shape)).abs().amax((0, -1)))
        w = torch.add(w, torch.tensordot(rule.weights, slopes, 1), alpha=1 / pieces)
    allowed = 1e4 * torch.finfo(w.dtype).eps * (1 + w.detach().abs().amax() if w.numel() else 1)
    if readable(change) and bool((change > allowed).any()):
        row = ", ".join(map(str, (change > allowed).nonzero()[0].tolist())) or "0"
        raise SolverError(
            f"on {manifold!r}, the transport of row {row} has not converged (last change {float(change.amax()):.2g}); "
            "take points that are closer"
        )
    return w


def _value_and_rate(f: Callable[[Tensor], Tensor], s: Tensor) -> tuple[Tensor, Tensor]:
    """The value and the derivative; torch's own annotation leaves open how much is returned."""
    return cast("tuple[Tensor, Tensor]", torch.func.jvp(f, (s,), (torch.ones_like(s),)))


def _parallel_rate(manifold: Manifold, x: Tensor, v: Tensor, w: Tensor) -> Tensor:
    """`(∂_v P) w - C(v, w)`, the rate of a vector that is parallel along a curve through x with velocity v."""
    turn = torch.func.jvp(lambda z: manifold.to_tangent(z, w), (x,), (v,))[1]
    rank = len(manifold.point_shape)
    flat_v, flat_w = v.flatten(-rank).unsqueeze(-1), w.flatten(-rank).unsqueeze(-1)
    along_v = torch.func.jvp(manifold.metric, (x,), (v,))[1] @ flat_w
    along_w = torch.func.jvp(manifold.metric, (x,), (w,))[1] @ flat_v
    pull = cast("Callable[[Tensor], tuple[Tensor]]", torch.func.vjp(manifold.metric, x)[1])
    across = pull(flat_v @ flat_w.mT)[0]
    covector = (along_v + along_w).reshape(x.shape) - across
    return turn - manifold.sharp(x, covector) / 2
