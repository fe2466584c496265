"""geoopt, both ways."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

import rmatch.interop._volumes as volumes
from rmatch._errors import DependencyError
from rmatch.interop._adapted import Peer
from rmatch.interop._repair import adapt
from rmatch.manifolds import Manifold

if TYPE_CHECKING:
    import geoopt


def to_geoopt(manifold: Manifold, *, flat: bool = False) -> geoopt.Manifold:
    """A `geoopt.Manifold` with the geometry of one of ours, and geoopt's names for it.

    It serves `geoopt.ManifoldParameter` and geoopt's optimisers, whose steps follow geodesics (`retr` is `expmap`) with
    exact parallel transport, and flow_matching's `GeodesicProbPath` and `RiemannianODESolver`.

    Args:
        manifold: Any manifold.
        flat: Whether points are flat vectors, also where ours are matrices: flow_matching takes no other.

    Raises:
        DependencyError: geoopt is not installed.

    Example:
        >>> import torch, rmatch as rm
        >>> sphere = rm.interop.to_geoopt(rm.Sphere(2))
        >>> north = torch.tensor([0.0, 0.0, 1.0])
        >>> sphere.expmap(north, torch.zeros(3))
        tensor([0., 0., 1.])
    """
    _require_geoopt()
    from rmatch.interop._as_geoopt import as_geoopt

    return as_geoopt(manifold, flat)


def from_geoopt(
    manifold: geoopt.Manifold,
    shape: Sequence[int],
    *,
    origin: Tensor | None = None,
    volume: float | None = None,
    repair: bool = True,
) -> Manifold:
    """One of ours out of a `geoopt.Manifold`: its geometry, with our calculus, fields, paths and solvers.

    Gradient, divergence and volume form are the defaults for a submanifold of R^k with any metric. When the manifold is
    made, its functions are tried at the origin. A `logmap` that is missing (Stiefel) is replaced by shooting, and a
    `transp` that does not keep lengths (a projection, as on geoopt's sphere) by parallel transport. A manifold whose
    `proju` is no projection or whose `expmap` is no geodesic (`CanonicalStiefel`) is refused: use `EuclideanStiefel`.
    What geoopt's safeguards cost in accuracy, next to a point itself and to the cut locus, stays.

    Args:
        manifold: A manifold of geoopt.
        shape: The shape of one point, which geoopt does not know.
        origin: A point; by default geoopt's own.
        volume: The volume. By default that of `Sphere` and `EuclideanStiefel` is known, and it is infinite elsewhere:
            give it where it is finite.
        repair: Whether to supply what is missing or wrong. Without it every function, the distance included, is the
            peer's own, called as its users call it: for `check_manifold`, to see what it finds.

    Raises:
        DependencyError: geoopt is not installed.
        OptionError: The manifold does not keep a law that it must; the text says which.

    Example:
        >>> import geoopt, rmatch as rm
        >>> M = rm.interop.from_geoopt(geoopt.EuclideanStiefel(), (3, 2))
        >>> M.dim
        3
    """
    _require_geoopt()

    def inner(x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        if not repair:
            return _plain(manifold.inner(x, u, v))
        # PoincareBall.inner returns a matrix of all pairs unless the last axis is kept.
        return manifold.inner(x, u, v, keepdim=True).reshape(len(x))

    if origin is None:
        origin = _plain(manifold.origin(*shape, dtype=torch.float64))
    peer = Peer(
        name=f"from_geoopt({manifold!r}, {tuple(shape)})",
        inner=inner,
        exp=lambda x, v: _plain(manifold.expmap(x, v)),
        project=lambda x: _plain(manifold.projx(x)),
        to_tangent=lambda x, v: _plain(manifold.proju(x, v)),
        log=lambda x, y: _plain(manifold.logmap(x, y)),
        transport=lambda x, y, v: _plain(manifold.transp(x, y, v)),
        dist=lambda x, y: _plain(manifold.dist(x, y)),
    )
    known = _known_volume(manifold, tuple(shape))
    volume = known if volume is None else volume
    return adapt(peer, origin, volume, homogeneous=math.isfinite(known), repair=repair)


def _known_volume(manifold: geoopt.Manifold, shape: tuple[int, ...]) -> float:
    """The volume of the compact manifolds of geoopt, or infinity."""
    match type(manifold).__name__, shape:
        case "Sphere" | "SphereExact", (n,) if getattr(manifold, "projector", None) is None:
            return volumes.sphere(n - 1)
        case "EuclideanStiefel" | "EuclideanStiefelExact", (n, p):
            return volumes.euclidean_stiefel(n, p)
        case _:
            return math.inf


def _plain(x: Any) -> Tensor:
    """The tensor without geoopt's subclass."""
    return x.as_subclass(Tensor)


def _require_geoopt() -> None:
    try:
        import geoopt  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        raise DependencyError("geoopt is not installed; run: python -m pip install 'rmatch[interop]'") from error
