"""What all pictures share: matplotlib imported late, figures without global state, their look, and saving them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rmatch._errors import DependencyError, OptionError
from rmatch._files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

INK = "#262626"
FAINT = "#8c8c8c"
# The data are blue, lighter where they lie on a density; what comes from a model has the hues of its density.
DATA_COLOUR = "#0f7fa8"
DOT_COLOUR = "#4cc9f0"
MODEL_COLOUR = "#b5367a"
SMALL, NORMAL, LARGE = 9.0, 11.0, 14.0
DOTS_PER_INCH = 160

# Formats, and what to write in a file so that the same figure gives the same bytes on another day.
_METADATA: dict[str, dict[str, Any]] = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}


def new_figure(width: float, height: float, title: str | None = None) -> Figure:
    """An empty figure of so many inches that belongs to no window and to no pyplot state.

    Raises:
        DependencyError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise DependencyError('pictures need matplotlib; install it with: pip install "rmatch[plot]"') from error
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, facecolor="white")
    if title is not None:
        figure.text(0.5, 1.0 - 0.17 / height, title, fontsize=LARGE, color=INK, ha="center", va="top")
    return figure


def add_axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place given in inches from the figure's lower left corner."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def add_colour_bar(figure: Figure, low: float, high: float, label: str, left: float, bottom: float, up: float) -> None:
    """An upright bar of the density's colours at a place given in inches, an arrow at its end for all that is less."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    axes = add_axes(figure, left, bottom, 0.16, up)
    axes.set_label("colour bar")
    bar = figure.colorbar(ScalarMappable(Normalize(low, high), density_colours()), cax=axes, extend="min")
    bar.set_label(label, fontsize=NORMAL, color=INK)
    axes.tick_params(labelsize=SMALL, colors=INK, width=0.8)


def density_colours() -> Colormap:
    """Magma, which is perceptually uniform, without its ends: white lines stand out on all that is left."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(colormaps["magma"](np.linspace(0.06, 0.87, 256)), name="rmatch")


def stack_figures(figures: Sequence[Figure]) -> Figure:
    """One figure that shows others below each other, as pixels.

    Args:
        figures: What `plot_density` returned, from the top down; they may have different sizes.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from rmatch.plotting import stack_figures
        >>> [float(size) for size in stack_figures([Figure((4, 2)), Figure((3, 1))]).get_size_inches()]
        [4.0, 3.0]
    """
    sizes = [tuple(map(float, figure.get_size_inches())) for figure in figures]
    width, height = max(across for across, _ in sizes), sum(up for _, up in sizes)
    stacked = new_figure(width, height)
    below = height
    for figure, (across, up) in zip(figures, sizes, strict=True):
        below -= up
        axes = add_axes(stacked, (width - across) / 2, below, across, up)
        axes.set_axis_off()
        axes.imshow(_pixels(figure), aspect="auto", interpolation="none")
    return stacked


def _pixels(figure: Figure) -> NDArray[np.uint8]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure to a PNG, PDF or SVG file, whole or not at all.

    Args:
        figure: What `plot_density` returned, or any figure of matplotlib.
        path: The file; its suffix `.png`, `.pdf` or `.svg` gives the format.

    Raises:
        OptionError: Another suffix.
        OutputError: The folder is missing or not writable, or the disk is full; what the file held is untouched.

    Example:
        >>> import pathlib, tempfile
        >>> from matplotlib.figure import Figure
        >>> from rmatch.plotting import save_figure
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "empty.png"
        >>> save_figure(Figure(), path)
        >>> path.read_bytes()[1:4]
        b'PNG'
    """
    form = Path(path).suffix.lower().removeprefix(".")
    if form not in _METADATA:
        known = ", ".join(f".{name}" for name in _METADATA)
        raise OptionError(f"cannot write a picture to {os.fspath(path)!r}; let its name end in one of {known}")
    with atomic_write(path) as file:
        figure.savefig(file, format=form, metadata=_METADATA[form])


def plural(count: int, noun: str) -> str:
    """For example `7,884 points`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
