"""The picture of a run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rmatch._errors import OptionError
from rmatch._typing import ScalarFunction
from rmatch.datasets import Angles, BallPoints, Coordinates, Dataset, FactorColumns, UnitVectors, Vectors
from rmatch.manifolds import Manifold, Sphere
from rmatch.plotting import plot_density, save_figure, shows_density, stack_figures
from rmatch.solvers import DormandPrince
from rmatch.training import Run
from rmatch.training.options import PICTURE_TOLERANCE
from rmatch.training.run import draw
from rmatch.training.target import weigh

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rmatch.plotting._evaluate import LogDensity

_SUFFIXES = (".png", ".pdf", ".svg")
_MOST_POINTS = 10_000
_WEIGHED, _SHOWN = 10_000, 2000  # samples of a flow that learned a density; the second are drawn


def draw_picture(run: Run, target: Path, data: Dataset | None = None, *, resolution: int) -> None:
    """Draw the density of a run with its data and write the picture.

    Args:
        run: The run.
        target: The file.
        data: The data set of the run, if it is at hand; else it is read again.
        resolution: Rows of the grid on which the density is evaluated.

    Raises:
        DependencyError: matplotlib is not installed.
        DataError: The data set is gone or has changed.
        OutputError: The file could not be written.
    """
    points = (data or run.data()).points
    if len(points) > _MOST_POINTS:
        points = points[torch.randperm(len(points), generator=torch.Generator().manual_seed(0))[:_MOST_POINTS]]
    density = run.flow_by(DormandPrince(PICTURE_TOLERANCE, PICTURE_TOLERANCE)).at(1.0)
    figure = plot_density(
        run.manifold,
        density.log_prob,
        points=points,
        samples=None if _is_globe(run.manifold) else draw(run, min(max(len(points), 1000), 5000), seed=0),
        labels=_labels(run.coordinates),
        title=f"{run.config.data.name}: density of the trained flow",
        coastlines=run.coordinates.kind == "latlon",
        resolution=resolution,
    )
    save_figure(figure, target)


def draw_target_picture(run: Run, log_density: ScalarFunction, target: Path, *, resolution: int) -> None:
    """Draw a run that learned a density above that density, normalised by the log Z of the run's samples.

    Where the manifold has no picture of a density, samples of the flow stand beside some that stand for the density:
    drawn among those of the flow by their weights.

    Args:
        run: The run.
        log_density: The density.
        target: The file.
        resolution: Rows of the grid on which densities are evaluated.

    Raises:
        DependencyError: matplotlib is not installed.
        OutputError: The file could not be written.
    """
    manifold, labels, name = run.manifold, _labels(run.coordinates), run.config.data.name
    flow = run.flow_by(DormandPrince(PICTURE_TOLERANCE, PICTURE_TOLERANCE))
    weighed = weigh(flow, log_density, _WEIGHED, seed=0)
    log_z = float(weighed.log_weights.logsumexp(0)) - math.log(_WEIGHED)
    generator = torch.Generator().manual_seed(0)
    chosen = torch.multinomial(weighed.log_weights.softmax(0), _SHOWN, replacement=True, generator=generator)
    drawn, resampled = weighed.points[:_SHOWN], weighed.points[chosen]

    def picture(density: LogDensity | None, title: str, samples: Tensor, points: Tensor | None) -> Figure:
        shown = None if _is_globe(manifold) else samples
        return plot_density(
            manifold,
            density,
            points=points,
            samples=shown,
            labels=labels,
            title=title,
            coastlines=False,
            resolution=resolution,
        )

    if not shows_density(manifold):
        title = f"{name}: samples of the trained flow, and for the density by their weights (as data)"
        save_figure(picture(None, title, drawn, resampled), target)
        return
    figures = [
        picture(flow.at(1.0).log_prob, f"{name}: density of the trained flow", drawn, None),
        picture(lambda x: log_density(x) - log_z, f"{name}: the density itself", resampled, None),
    ]
    save_figure(stack_figures(figures), target)


def _is_globe(manifold: Manifold) -> bool:
    return isinstance(manifold, Sphere) and manifold.dim == 2


def _labels(coordinates: Coordinates) -> list[str] | list[list[str] | None] | None:
    """The columns' names, where the columns are what the picture's axes show; for a product, per factor."""
    if isinstance(coordinates, FactorColumns):
        return [_names(part) for part in coordinates.parts]
    return _names(coordinates)


def _names(coordinates: Coordinates) -> list[str] | None:
    shown = isinstance(coordinates, Angles | BallPoints | UnitVectors | Vectors)
    return list(coordinates.columns) if shown else None


def panel_labels(coordinates: Coordinates) -> list[str] | None:
    """The columns' names, where a panel of two coordinates shows these columns."""
    return None if isinstance(coordinates, FactorColumns) else _names(coordinates)


def require_picture_name(target: Path) -> None:
    """Raise OptionError for a suffix that is no format of pictures, before anything slow is done."""
    if target.suffix.lower() not in _SUFFIXES:
        raise OptionError(f"cannot write a picture to {target}; let its name end in one of {', '.join(_SUFFIXES)}")
