"""The primitives of each library that is installed, as functions `dist(x, y)`, `log(x, y)` and `exp(x, v)`."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
from collections.abc import Callable
from typing import Any

from torch import Tensor

from tools.accuracy.space import Space

Primitive = Callable[[Tensor, Tensor], Tensor]
Library = dict[str, Primitive]

PEERS = ("geoopt", "geomstats", "flow_matching")


def ours(space: Space) -> Library:
    """The library's own."""
    M = space.member
    return {"dist": M.dist, "log": M.log, "exp": M.exp}


def theirs(space: Space) -> dict[str, Library]:
    """Those of the peers that are installed and have the space, made in torch's present default dtype."""
    makers = {"geoopt": _geoopt, "geomstats": _geomstats, "flow_matching": _flow_matching}
    found = {name: makers[name](space.key) for name in PEERS if importlib.util.find_spec(name) is not None}
    return {name: library for name, library in found.items() if library is not None}


def versions() -> str:
    """What was compared, as text."""
    names = ("torch", *(name for name in PEERS if importlib.util.find_spec(name) is not None))
    return ", ".join(f"{name} {importlib.metadata.version(name).partition('+')[0]}" for name in names)


def _geoopt(key: str) -> Library | None:
    geoopt: Any = importlib.import_module("geoopt")
    makers: dict[str, Callable[[], Any]] = {
        "sphere": geoopt.Sphere,
        "Lorentz": geoopt.Lorentz,
        "PoincareBall": geoopt.PoincareBall,
        "spd": geoopt.SymmetricPositiveDefinite,
    }
    if key not in makers:
        return None
    M = makers[key]()
    return {"dist": M.dist, "log": M.logmap, "exp": M.expmap}


def _geomstats(key: str) -> Library | None:
    os.environ["GEOMSTATS_BACKEND"] = "pytorch"  # read when it is imported

    def space(module: str, name: str, size: int, metric: str | None = None) -> Any:
        made: Any = importlib.import_module(f"geomstats.geometry.{module}")
        if metric is None:
            return getattr(made, name)(size).metric
        bare = getattr(made, name)(size, equip=False)
        bare.equip_with_metric(getattr(made, metric))
        return bare.metric

    makers: dict[str, tuple[Any, ...]] = {
        "sphere": ("hypersphere", "Hypersphere", 2),
        "Lorentz": ("hyperboloid", "Hyperboloid", 2),
        "PoincareBall": ("poincare_ball", "PoincareBall", 2),
        "spd": ("spd_matrices", "SPDMatrices", 3, "SPDAffineMetric"),
        "spd-log-euclidean": ("spd_matrices", "SPDMatrices", 3, "SPDLogEuclideanMetric"),
        "rotations": ("special_orthogonal", "SpecialOrthogonal", 3),
    }
    if key not in makers:
        return None
    metric = space(*makers[key])
    return {"dist": metric.dist, "log": lambda x, y: metric.log(y, x), "exp": lambda x, v: metric.exp(v, x)}


def _flow_matching(key: str) -> Library | None:
    names = {"sphere": "Sphere", "torus": "FlatTorus"}
    if key not in names:
        return None
    M: Any = getattr(importlib.import_module("flow_matching.utils.manifolds"), names[key])()
    dist = M.dist if key == "sphere" else lambda x, y: M.logmap(x, y).norm(dim=-1)  # the torus has none of its own
    return {"dist": dist, "log": M.logmap, "exp": M.expmap}
