"""A look at whether a peer's functions are what they are called, and what is put in the place of those that are not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from rmatch._errors import OptionError
from rmatch.interop._adapted import AGREES, Map, Peer, as_it_is
from rmatch.interop._transport import value_and_rate
from rmatch.manifolds import Manifold


def adapt(peer: Peer, origin: Tensor, volume: float, *, homogeneous: bool = False, repair: bool = True) -> Manifold:
    """The peer's manifold, after a look at whether its functions are what they are called.

    A `log` that is missing, does not invert `exp` or has no finite derivative is replaced by shooting, a `transport`
    that is missing or not parallel by the solution of its equation, and the derivative of a `project` that has none, as
    one by singular values has none, by the tangent projection.

    Args:
        peer: The functions.
        origin: A point.
        volume: The volume, which may be infinite.
        homogeneous: Whether the rotations of R^k, or of the rows or columns of its arrays, act on the manifold by
            isometries, take any point to any other, and commute with `project`.
        repair: Whether to look, and to replace; else the functions stay as they are, to be examined.

    Raises:
        OptionError: `to_tangent` is no projection, or `exp` does not start with its velocity or keep its speed.
    """
    if not repair:
        return as_it_is(peer, origin, volume, homogeneous=homogeneous)
    peer = replace(peer, dist=None)
    manifold = as_it_is(peer, origin, volume, homogeneous=homogeneous)
    x = manifold.origin(dtype=torch.float64)
    _require(peer, "project is the identity on the manifold", manifold.project(x), x)
    basis = manifold.to_tangent(x, torch.eye(x.numel(), dtype=x.dtype).reshape(-1, *x.shape))
    _require(peer, "to_tangent is the identity on tangent vectors", manifold.to_tangent(x, basis), basis)
    generator = torch.Generator().manual_seed(0)
    u = 0.3 * manifold.random_tangent(x, generator=generator)
    w = manifold.random_tangent(x, generator=generator)
    _require(peer, "exp starts with the velocity that it is given", _velocity(manifold, x, u, 0.0), u)
    slow = _velocity(manifold, x, u, 1.0)
    _, rate = value_and_rate(lambda s: manifold.exp(x, s * u), torch.ones((), dtype=x.dtype))
    _require(peer, "exp has a derivative", rate, slow)
    end = manifold.norm(manifold.exp(x, u), slow)
    _require(peer, "geodesics keep their speed", end, manifold.norm(x, u))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", UserWarning)  # a log that warns has not converged
        log_is_right = _log_is_right(peer, manifold, x, u)
        transport_is_right = _transport_is_right(peer, manifold, x, u, w)
    right = replace(
        peer,
        log=peer.log if log_is_right else None,
        transport=peer.transport if transport_is_right else None,
        project=peer.project if _has_derivative(manifold.project, x) else _with_derivative(peer),
    )
    return as_it_is(right, origin, volume, homogeneous=homogeneous)


def _has_derivative(f: Callable[[Tensor], Tensor], x: Tensor) -> bool:
    x = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(f(x).sum(), x)
    return bool(slope.isfinite().all())


def _with_derivative(peer: Peer) -> Map:
    """`project` with the derivative that the nearest point has on the manifold: the tangent projection."""

    def project(x: Tensor) -> Tensor:
        nearest = peer.project(x.detach())
        return nearest + peer.to_tangent(nearest, x - x.detach())

    return project


def _require(peer: Peer, law: str, got: Tensor, expected: Tensor) -> None:
    gap = float((got - expected).abs().amax())
    if not gap <= AGREES:
        raise OptionError(
            f"{peer.name} does not keep the law that {law}: it is off by {gap:.2g} at the origin (allowed "
            f"{AGREES:.0e}); such a manifold cannot be adapted, use another variant of it"
        )


def _velocity(manifold: Manifold, x: Tensor, v: Tensor, t: float) -> Tensor:
    """The velocity of `exp_x(tv)`, by a difference of fourth order: it asks nothing of the peer's derivatives."""
    h = 1e-3
    near, far = (manifold.exp(x, (t + a) * v) - manifold.exp(x, (t - a) * v) for a in (h, 2 * h))
    return (8 * near - far) / (12 * h)


def _log_is_right(peer: Peer, manifold: Manifold, x: Tensor, u: Tensor) -> bool:
    if peer.log is None:
        return False
    y = manifold.exp(x, u).requires_grad_()
    try:
        v = manifold.log(x, y)
        (slope,) = torch.autograd.grad(v.sum(), y)
    except (NotImplementedError, RuntimeError, UserWarning):
        return False
    return float((v.detach() - u).abs().amax()) < AGREES and bool(slope.isfinite().all())


def _transport_is_right(peer: Peer, manifold: Manifold, x: Tensor, u: Tensor, w: Tensor) -> bool:
    """Whether it keeps the angle to the geodesic and every length: a mere projection does not."""
    if peer.transport is None:
        return False
    y = manifold.exp(x, u)
    try:
        moved, along = manifold.transport(x, y, w), manifold.transport(x, y, u)
    except (NotImplementedError, UserWarning):
        return False
    kept = (manifold.inner(y, moved, moved) - manifold.inner(x, w, w)).abs() < AGREES
    return bool(kept) and float((along - _velocity(manifold, x, u, 1.0)).abs().amax()) < AGREES
