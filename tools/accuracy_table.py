"""Print how accurate dist, log, exp and their gradients are, beside the peers: `python -m tools.accuracy_table`.

The reference is mpmath at 60 digits, with the floats taken as exact numbers (on the sphere, normalised). Each entry is
the largest relative error over eight random pairs at that angle. Peers that are not installed are left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import mpmath as mp
import torch
from torch import Tensor

import rmatch as rm
from tests.manifolds import reference as ref

Primitive = Callable[[Tensor, Tensor], Tensor]

ANGLES = ["1e-12", "1e-8", "1e-6", "1e-4", "1e-2", "1", "3", "pi-1e-2", "pi-1e-4", "pi-1e-6", "pi-1e-8"]
SEEDS = range(8)
COLUMNS = ["dist", "log", "exp", "d dist", "d log", "d exp"]


def main() -> None:
    """Print the tables for S², S¹⁵ and T¹."""
    for n in (2, 15):
        libraries = sphere_libraries(n)
        for dtype in (torch.float64, torch.float32):
            torch.set_default_dtype(dtype)  # geomstats computes some constants in it
            print(f"\nS^{n}, {str(dtype).removeprefix('torch.')}: " + " / ".join(COLUMNS))
            print("| angle | " + " | ".join(libraries) + " |")
            print("|---" * (len(libraries) + 1) + "|")
            for angle in ANGLES if dtype == torch.float64 else ["1e-4", "1e-2", "1", "3", "pi-1e-2", "pi-1e-4"]:
                cells = [" / ".join(map(shown, sphere_errors(n, angle, dtype, f))) for f in libraries.values()]
                print(f"| {angle} | " + " | ".join(cells) + " |")
    print("\nT^1, log: largest relative error over pairs `gap` apart, inside and across the seam\n")
    torus_libraries = {"rmatch": rm.Torus(1).log, **flow_matching_torus()}
    print("| gap | dtype | " + " | ".join(torus_libraries) + " |")
    print("|---" * (len(torus_libraries) + 2) + "|")
    for gap in (1e-12, 1e-8, 1e-4, 1.0, 3.0):
        for dtype in (torch.float64, torch.float32):
            cells = [shown(torus_error(gap, dtype, log)) for log in torus_libraries.values()]
            print(f"| {gap:g} | {str(dtype).removeprefix('torch.')} | " + " | ".join(cells) + " |")


def sphere_errors(n: int, angle: str, dtype: torch.dtype, f: dict[str, Primitive]) -> list[float]:
    """Errors in the order of `COLUMNS`; gradients of <w, .> along the sphere, by the size of the differential."""
    worst = [0.0] * len(COLUMNS)
    for seed in SEEDS:
        x, y = ref.sphere_pair(n, parsed(angle), seed, dtype)
        at, to = ref.unit(ref.exact(x)), ref.unit(ref.exact(y))
        w = torch.randn(n + 1, generator=torch.Generator().manual_seed(100 + seed), dtype=dtype)
        weights, true_angle = ref.exact(w), ref.sphere_angle(at, to)
        v = torch.tensor([float(p) for p in ref.sphere_log(at, to)], dtype=torch.float64).to(dtype)
        along = ref.tangent(at, ref.exact(v))
        for a in (x, y, v):
            a.requires_grad_()
        dist, log, point = f["dist"](x, y).reshape(()), f["log"](x, y), f["exp"](x, v)
        d_dist, d_log = torch.autograd.grad(dist, y)[0], torch.autograd.grad(log @ w, y)[0]
        d_exp = torch.autograd.grad(point @ w, v)[0]
        across = ref.norm(weights) * true_angle / mp.sin(true_angle)
        found = [
            ref.error(dist, [true_angle]),
            ref.error(log, ref.sphere_log(at, to)),
            ref.error(point, ref.sphere_exp(at, along)),
            ref.error(ref.tangent(to, ref.exact(d_dist)), ref.sphere_dist_gradients(at, to)[1]),
            ref.error(ref.tangent(to, ref.exact(d_log)), ref.sphere_log_gradients(at, to, weights)[1], across),
            ref.error(
                ref.tangent(at, ref.exact(d_exp)), ref.sphere_exp_gradients(at, along, weights)[1], ref.norm(weights)
            ),
        ]
        worst = [new if new != new else max(old, new) for old, new in zip(worst, found, strict=True)]
    return worst


def torus_error(gap: float, dtype: torch.dtype, log: Primitive) -> float:
    """The error of log on T¹ over pairs `gap` apart."""
    worst = 0.0
    for start in (0.25 * gap, 2.0, 6.2):  # the first pair straddles the seam
        x = torch.tensor([start], dtype=dtype)
        y = rm.Torus(1).project(x - gap)
        (wanted,) = ref.torus_log(ref.exact(x), ref.exact(y))
        if wanted:  # in float32 two angles nearer than its spacing are the same number
            worst = max(worst, float(abs(log(x, y).item() - wanted) / abs(wanted)))
    return worst


def sphere_libraries(n: int) -> dict[str, dict[str, Primitive]]:
    """What is installed, with dist(x, y), log(x, y) and exp(x, v) under one signature."""
    M = rm.Sphere(n)
    found: dict[str, dict[str, Primitive]] = {"rmatch": {"dist": M.dist, "log": M.log, "exp": M.exp}}
    try:
        import geoopt

        sphere: Any = geoopt.Sphere()
        found["geoopt"] = {"dist": sphere.dist, "log": sphere.logmap, "exp": sphere.expmap}
    except ImportError:
        pass
    try:
        from flow_matching.utils.manifolds import Sphere

        other: Any = Sphere()
        found["flow_matching"] = {"dist": other.dist, "log": other.logmap, "exp": other.expmap}
    except ImportError:
        pass
    os.environ["GEOMSTATS_BACKEND"] = "pytorch"
    try:
        from geomstats.geometry.hypersphere import Hypersphere

        metric: Any = Hypersphere(n).metric
        found["geomstats"] = {
            "dist": metric.dist,
            "log": lambda x, y: metric.log(y, x),
            "exp": lambda x, v: metric.exp(v, x),
        }
    except ImportError:
        pass
    return found


def flow_matching_torus() -> dict[str, Primitive]:
    """The peer's log on the torus, where it is installed."""
    try:
        from flow_matching.utils.manifolds import FlatTorus
    except ImportError:
        return {}
    return {"flow_matching": FlatTorus().logmap}


def parsed(angle: str) -> Any:
    """The angle as a number of 60 digits."""
    return mp.pi - mp.mpf(angle[3:]) if angle.startswith("pi-") else mp.mpf(angle)


def shown(error: float) -> str:
    """One digit and the power of ten."""
    return "NaN" if error != error else f"{error:.0e}"


if __name__ == "__main__":
    main()
