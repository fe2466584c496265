"""geomstats, with its side effects kept inside."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Callable, Generator
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

import rmatch.interop._volumes as volumes
from rmatch._errors import DependencyError, OptionError
from rmatch.interop._adapted import Peer
from rmatch.interop._repair import adapt
from rmatch.manifolds import Manifold

_VARIABLE = "GEOMSTATS_BACKEND"


def import_geomstats(submodule: str = "") -> ModuleType:
    """geomstats, or a submodule such as `"geometry.stiefel"`, imported with its torch backend and nothing else changed.

    geomstats chooses its backend by an environment variable when it is first imported, and its torch backend sets
    torch's default dtype to float64. Here both are afterwards what they were.

    Raises:
        DependencyError: geomstats is not installed, or does not import.
        OptionError: geomstats was imported before, with another backend.

    Example:
        >>> import torch, rmatch as rm
        >>> stiefel = rm.interop.import_geomstats("geometry.stiefel")
        >>> torch.get_default_dtype()
        torch.float32
        >>> M = rm.interop.from_geomstats(stiefel.Stiefel(3, 2))
        >>> M.dim
        3
    """
    before = os.environ.get(_VARIABLE)
    with _default_dtype(torch.get_default_dtype()):
        os.environ[_VARIABLE] = "pytorch"
        try:
            import_module("geomstats.backend")
            _require_torch_backend()
            if submodule and find_spec(f"geomstats.{submodule}") is None:
                raise OptionError(f"geomstats has no module {submodule}; an example of one is geometry.stiefel")
            return import_module(f"geomstats.{submodule}" if submodule else "geomstats")
        except ImportError as error:
            raise DependencyError(
                f"geomstats does not import ({error}); run: python -m pip install 'rmatch[interop]'"
            ) from error
        finally:
            if before is None:
                pass
            else:
                os.environ[_VARIABLE] = before


def from_geomstats(
    space: Any, *, origin: Tensor | None = None, volume: float | None = None, repair: bool = True
) -> Manifold:
    """One of ours out of a geomstats space: its geometry, with our calculus, fields, paths and solvers.

    Gradient, divergence and volume form are the defaults for a submanifold of R^k with any metric. When the manifold is
    made, its functions are tried at the origin. A `log` that does not invert `exp` or has no derivative (Stiefel) is
    replaced by shooting, and a parallel transport that is missing (Stiefel) by the solution of its equation. The
    exponential of Stiefel's canonical metric is ours, because theirs has no derivative for n < 2p. What geomstats'
    safeguards cost in accuracy stays. Numbers that geomstats makes itself have the dtype of the points.

    Args:
        space: A space with a metric, made after `import_geomstats` or with geomstats' torch backend.
        origin: A point; by default a fixed random one of the space.
        volume: The volume. By default that of `Hypersphere`, `SpecialOrthogonal` (as matrices), `Stiefel` and
            `Grassmannian` with their own metrics is known, and it is infinite elsewhere: give it where it is finite.
        repair: Whether to supply what is missing or wrong. Without it every function, the distance included, is the
            peer's own, called as its users call it: for `check_manifold`, to see what it finds.

    Raises:
        DependencyError: geomstats is not installed.
        OptionError: geomstats was imported with another backend, or the space does not keep a law that it must.
    """
    import_geomstats()
    metric = space.metric

    def kept(function: Callable[..., Any]) -> Callable[..., Tensor]:
        def call(*arrays: Tensor) -> Tensor:
            with _default_dtype(arrays[0].dtype):
                return function(*arrays)

        return call

    if origin is None:
        with _default_dtype(torch.float64), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            origin = space.random_point()
    canonical = type(metric).__name__ == "StiefelCanonicalMetric"
    peer = Peer(
        name=f"from_geomstats({type(space).__name__}, {tuple(space.shape)})",
        inner=kept(lambda x, u, v: metric.inner_product(u, v, x)),
        exp=_stiefel_exp if canonical and repair else kept(lambda x, v: metric.exp(v, x)),
        project=kept(space.projection),
        to_tangent=kept(lambda x, v: space.to_tangent(v, x)),
        log=kept(lambda x, y: metric.log(y, x)),
        transport=kept(lambda x, y, v: metric.parallel_transport(v, x, end_point=y)),
        dist=kept(metric.dist),
    )
    known = _known_volume(space)
    return adapt(
        peer,
        torch.as_tensor(origin, dtype=torch.float64),
        known if volume is None else volume,
        homogeneous=math.isfinite(known),
        repair=repair,
    )


def _known_volume(space: Any) -> float:
    """The volume of the spaces with the metrics that geomstats gives them by default, or infinity."""
    match type(space).__name__, type(space.metric).__name__:
        case "Hypersphere", "HypersphereMetric":
            return volumes.sphere(space.dim)
        case "_SpecialOrthogonalMatrices", "BiInvariantMetric":
            return volumes.rotations(space.n)
        case "Stiefel", "StiefelCanonicalMetric":
            return volumes.canonical_stiefel(space.n, space.p)
        case "Grassmannian", "GrassmannianCanonicalMetric":
            return volumes.grassmannian(space.n, space.p)
        case _:
            return math.inf


def _stiefel_exp(x: Tensor, v: Tensor) -> Tensor:
    """The exponential of the canonical metric, `expm(v xᵀ - x vᵀ - x (xᵀv) xᵀ) x`.

    geomstats takes a QR factorisation of the normal part of `v`, which has no derivative where that part has not full
    rank, as always if n - p < p.

    Reference: Edelman, Arias and Smith, "The geometry of algorithms with orthogonality constraints", 1998, eq. 2.42.
    """
    generator = v @ x.mT - x @ v.mT - x @ (x.mT @ v) @ x.mT
    # torch 2.13: of one matrix alone with a norm between 0.01 and 0.05 the exponential is off by 1e-14 to 1e-11
    return torch.linalg.matrix_exp(torch.cat([generator, generator[:1]]))[:-1] @ x


@contextlib.contextmanager
def _default_dtype(dtype: torch.dtype) -> Generator[None]:
    """Torch's default dtype for a while, and what it was after that."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _require_torch_backend() -> None:
    backend = str(getattr(sys.modules["geomstats.backend"], "__name__", "")).removeprefix("geomstats.")
    if backend != "pytorch":
        raise OptionError(
            f"geomstats was imported with its {backend} backend, and rmatch needs the torch backend; call "
            f"rmatch.interop.import_geomstats() before anything imports geomstats, or set {_VARIABLE}=pytorch"
        )
