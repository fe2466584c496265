"""The picture of a run."""

from __future__ import annotations

from pathlib import Path

import torch

from rmatch._errors import OptionError
from rmatch.datasets import Angles, BallPoints, Coordinates, Dataset, FactorColumns, UnitVectors, Vectors
from rmatch.manifolds import Sphere
from rmatch.plotting import plot_density, save_figure
from rmatch.solvers import DormandPrince
from rmatch.training import Run
from rmatch.training.options import PICTURE_TOLERANCE
from rmatch.training.run import draw

_SUFFIXES = (".png", ".pdf", ".svg")
_MOST_POINTS = 10_000


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
    on_globe = isinstance(run.manifold, Sphere) and run.manifold.dim == 2
    figure = plot_density(
        run.manifold,
        density.log_prob,
        points=points,
        samples=None if on_globe else draw(run, min(max(len(points), 1000), 5000), seed=0),
        labels=_labels(run.coordinates),
        title=f"{run.config.data.name}: density of the trained flow",
        coastlines=run.coordinates.kind == "latlon",
        resolution=resolution,
    )
    save_figure(figure, target)


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
