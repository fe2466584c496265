"""The same primitives from every library, as functions of the same arguments; one that is absent skips its rows."""

import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import rmatch as rm

Primitive = Callable[[Tensor, Tensor], Tensor]

SPHERE_LIBRARIES = ["rmatch", "flow_matching", "geoopt", "geomstats"]
TORUS_LIBRARIES = ["rmatch", "flow_matching"]


def sphere_primitives(who: str) -> dict[str, Primitive]:
    """exp(x, v), log(x, y) and dist(x, y) on S²."""
    if who == "rmatch":
        return {"exp": rm.Sphere(2).exp, "log": rm.Sphere(2).log, "dist": rm.Sphere(2).dist}
    if who == "geomstats":
        metric = geomstats_sphere().metric
        return {
            "exp": lambda x, v: metric.exp(v, x),
            "log": lambda x, y: metric.log(y, x),
            "dist": metric.dist,
        }
    if who == "geoopt":
        sphere = peer("geoopt").Sphere()
        return {"exp": sphere.expmap, "log": sphere.logmap, "dist": sphere.dist}
    sphere = peer("flow_matching.utils.manifolds").Sphere()
    return {"exp": sphere.expmap, "log": sphere.logmap, "dist": sphere.dist}


def torus_primitives(who: str) -> dict[str, Primitive]:
    """exp(x, v), log(x, y) and dist(x, y) on T², with what a library has of them."""
    if who == "rmatch":
        return {"exp": rm.Torus(2).exp, "log": rm.Torus(2).log, "dist": rm.Torus(2).dist}
    torus = peer("flow_matching.utils.manifolds").FlatTorus()
    return {"exp": torus.expmap, "log": torus.logmap}


def peer(module: str) -> Any:
    return pytest.importorskip(module, reason=f"{module} is not installed: pip install 'rmatch[bench]'")


def geomstats_sphere() -> Any:
    """geomstats reads its backend from the environment and changes torch's default dtype on import: put both back."""
    dtype, backend = torch.get_default_dtype(), os.environ.get("GEOMSTATS_BACKEND")
    os.environ["GEOMSTATS_BACKEND"] = "pytorch"
    try:
        sphere = peer("geomstats.geometry.hypersphere").Hypersphere(2)
        if not isinstance(sphere.random_point(), Tensor):
            pytest.skip("geomstats was imported with another backend before")
        return sphere
    finally:
        torch.set_default_dtype(dtype)
        os.environ.pop("GEOMSTATS_BACKEND")
        if backend is not None:
            os.environ["GEOMSTATS_BACKEND"] = backend
