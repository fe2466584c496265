"""The same primitives from every library, as functions of the same arguments; one that is absent skips its rows."""

import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import rmatch as rm

Primitive = Callable[..., Tensor]

PRIMITIVES = ["inner", "exp", "log", "dist", "project", "transport"]
SPACES: dict[str, rm.Manifold] = {
    "S2": rm.Sphere(2),
    "T2": rm.Torus(2),
    "H2_lorentz": rm.Lorentz(2),
    "H2_ball": rm.PoincareBall(2),
    "SPD3": rm.SPD(3),
    "SPD10": rm.SPD(10),
}


def ours(space: str, name: str) -> Primitive:
    return getattr(SPACES[space], name)  # type: ignore[no-any-return]


def theirs(space: str, name: str) -> dict[str, Primitive]:
    """That primitive of every peer that has the space: `inner(x, u, v)`, `exp(x, v)`, `transport(x, y, v)`, ..."""
    found = {who: _peer_primitives(who, space) for who in ("geoopt", "geomstats", "flow_matching")}
    return {who: primitives[name] for who, primitives in found.items() if name in primitives}


def _peer_primitives(who: str, space: str) -> dict[str, Primitive]:
    return {"geoopt": _geoopt, "geomstats": _geomstats, "flow_matching": _flow_matching}[who](space)


def _flow_matching(space: str) -> dict[str, Primitive]:
    """It has no inner product and no transport, and no distance on the torus."""
    name = {"S2": "Sphere", "T2": "FlatTorus"}.get(space)
    if name is None:
        return {}
    M = getattr(peer("flow_matching.utils.manifolds"), name)()
    found = {"exp": M.expmap, "log": M.logmap, "project": M.projx}
    return found | {"dist": M.dist} if space == "S2" else found


def _geoopt(space: str) -> dict[str, Primitive]:
    geoopt = peer("geoopt")
    if space == "T2":
        return {}
    if space.startswith("SPD"):
        M = geoopt.SymmetricPositiveDefinite()
    else:
        M = {"S2": geoopt.Sphere, "H2_lorentz": geoopt.Lorentz, "H2_ball": geoopt.PoincareBall}[space]()
    found = {"exp": M.expmap, "log": M.logmap, "dist": M.dist, "project": M.projx, "transport": M.transp}
    if space == "H2_ball":  # without keepdim its product has the shape (B, B)
        return found | {"inner": lambda x, u, v: M.inner(x, u, v, keepdim=True).squeeze(-1)}
    return found | {"inner": M.inner}


def _geomstats(space: str) -> dict[str, Primitive]:
    makers = {
        "S2": ("hypersphere", "Hypersphere", 2),
        "H2_lorentz": ("hyperboloid", "Hyperboloid", 2),
        "H2_ball": ("poincare_ball", "PoincareBall", 2),
        "SPD3": ("spd_matrices", "SPDMatrices", 3),
        "SPD10": ("spd_matrices", "SPDMatrices", 10),
    }
    if space not in makers:
        return {}
    M = _geomstats_space(*makers[space])
    metric = M.metric
    found: dict[str, Primitive] = {
        "inner": lambda x, u, v: metric.inner_product(u, v, x),
        "exp": lambda x, v: metric.exp(v, x),
        "log": lambda x, y: metric.log(y, x),
        "dist": metric.dist,
        "project": M.projection,
    }
    if space != "H2_ball":  # there transport integrates an equation, and does not take batches
        found["transport"] = lambda x, y, v: metric.parallel_transport(v, x, end_point=y)
    return found


def peer(module: str) -> Any:
    return pytest.importorskip(module, reason=f"{module} is not installed: pip install 'rmatch[bench]'")


def _geomstats_space(module: str, name: str, size: int) -> Any:
    """geomstats reads its backend from the environment and changes torch's default dtype on import: put both back."""
    dtype, backend = torch.get_default_dtype(), os.environ.get("GEOMSTATS_BACKEND")
    os.environ["GEOMSTATS_BACKEND"] = "pytorch"
    try:
        space = getattr(peer(f"geomstats.geometry.{module}"), name)(size)
        if not isinstance(space.random_point(), Tensor):
            pytest.skip("geomstats was imported with another backend before")
        return space
    finally:
        torch.set_default_dtype(dtype)
        os.environ.pop("GEOMSTATS_BACKEND")
        if backend is not None:
            os.environ["GEOMSTATS_BACKEND"] = backend
