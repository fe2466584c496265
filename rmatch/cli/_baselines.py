"""What a flow must beat: models that need no training."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from rmatch._errors import OptionError
from rmatch.datasets import Split
from rmatch.distributions import KernelDensity
from rmatch.manifolds import Manifold
from rmatch.training.evaluation import mean_and_error

_CHUNK = 512


@dataclass(frozen=True)
class Baselines:
    """Scores on the test rows, nats per row.

    Args:
        uniform: Of the uniform density, the logarithm of the volume; `None` where the volume is infinite.
        kernel_density: Of a kernel density estimate on the training rows, its width chosen on the validation rows;
            `None` where no kernel is known.
        kernel_density_stderr: Standard error of that.
    """

    uniform: float | None
    kernel_density: float | None
    kernel_density_stderr: float | None


def score_baselines(manifold: Manifold, points: Tensor, parts: Split) -> Baselines:
    """The scores of the uniform density and of a kernel density estimate.

    Args:
        manifold: The manifold.
        points: All points, `(N, *point_shape)`.
        parts: Their split.
    """
    uniform = math.log(manifold.volume) if math.isfinite(manifold.volume) else None
    with torch.no_grad():
        try:
            estimate = KernelDensity.fit(manifold, points[parts.train], points[parts.validation])
        except OptionError:  # no kernel is known on this manifold; the table then says so
            return Baselines(uniform, None, None)
        values = torch.cat([-estimate.log_prob(part) for part in points[parts.test].split(_CHUNK)])
    return Baselines(uniform, *mean_and_error(values))


def shared_sites(points: Tensor, parts: Split) -> str | None:
    """One line about rows that are exact copies of others, or `None` when there are none.

    Args:
        points: All points, `(N, *point_shape)`.
        parts: Their split.
    """
    _, site, counts = torch.unique(points.reshape(len(points), -1), dim=0, return_inverse=True, return_counts=True)
    repeated = int((counts[site] > 1).sum())
    if not repeated:
        return None
    seen = torch.isin(site[parts.test], site[parts.train]).double().mean()
    return (
        f"note: {repeated:,} of {len(points):,} rows stand exactly where another row stands; {float(seen):.1%} of "
        "the test rows where a training row does"
    )
