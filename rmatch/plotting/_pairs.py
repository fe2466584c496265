"""Panels for every pair of coordinates: the samples below the diagonal, the data above it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rmatch.plotting._figure import (
    DATA_COLOUR,
    INK,
    MODEL_COLOUR,
    NORMAL,
    SMALL,
    add_axes,
    density_colours,
    new_figure,
    plural,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

_CELLS = 60  # of a pair's histogram, per axis
_BINS = 72  # of a marginal


class PairAxis(NamedTuple):
    """One coordinate: its name, the range that is shown, and whether the range ends where the coordinate does."""

    name: str
    low: float
    high: float
    bounded: bool = True

    @property
    def ticks(self) -> list[float]:
        """The ends and the middle of a bounded coordinate, else three to five round numbers."""
        if self.bounded:
            return [self.low, (self.low + self.high) / 2.0, self.high]
        power = 10.0 ** np.floor(np.log10(self.high - self.low))
        sizes = [factor * power for factor in (5.0, 2.0, 1.0, 0.5, 0.25, 0.2)]
        found = [size * np.arange(np.ceil(self.low / size), np.floor(self.high / size) + 1) for size in sizes]
        return next(ticks for ticks in found if len(ticks) >= 3).tolist()

    def edges(self, bins: int) -> list[float]:
        """The edges of so many equal bins."""
        return np.linspace(self.low, self.high, bins + 1).tolist()

    def label(self, tick: float) -> str:
        """A tick's number, without a minus sign before zero."""
        return f"{tick + 0.0:.4g}".replace("-", "−")


def plot_pairs(
    coordinates: Sequence[PairAxis], drawn: Array, data: Array | None, title: str | None, *, cell: str = "cell"
) -> Figure:
    """A panel for each pair of coordinates, and on the diagonal the histogram of each.

    Args:
        coordinates: The k coordinates.
        drawn: Samples, `(S, k)`.
        data: Data, `(P, k)`; without any, only the lower half is drawn.
        title: A line above the picture.
        cell: What a cell of a histogram is, for the key.
    """
    dim = len(coordinates)
    data = data if data is not None and len(data) else None
    side = float(np.clip(9.0 / dim, 1.25, 2.4))
    left, bottom, top = 0.8, 0.7, 0.55 + (0.4 if title is not None else 0.0)
    figure = new_figure(left + dim * side + 0.1, bottom + dim * side + top, title)
    for row in range(dim):
        for column in range(dim if data is not None else row + 1):
            place = (left + column * side, bottom + (dim - 1 - row) * side)
            axes = add_axes(figure, *place, 0.93 * side, 0.93 * side)
            if row == column:
                axes.set_label(f"marginal {row}")
                _draw_marginal(axes, coordinates[row], None if data is None else data[:, row], drawn[:, row])
            else:
                axes.set_label(f"{'samples' if row > column else 'data'} {column} {row}")
                _draw_pair(axes, coordinates, data, drawn, column, row)
            last, first = row == dim - 1, column == 0
            _dress_panel(axes, coordinates[column], coordinates[row], 0.93 * side, last=last, first=first)
    _draw_key(figure, len(drawn), None if data is None else len(data), 0.55, cell)
    return figure


def _draw_marginal(axes: Axes, coordinate: PairAxis, data: Array | None, drawn: Array) -> None:
    """The samples' histogram, filled, and the data's as a line over it."""
    edges = coordinate.edges(_BINS)
    axes.hist(drawn, bins=edges, density=True, color=MODEL_COLOUR, alpha=0.45)
    if data is not None:
        axes.hist(data, bins=edges, density=True, histtype="step", color=DATA_COLOUR, linewidth=1.2)


def _draw_pair(
    axes: Axes, coordinates: Sequence[PairAxis], data: Array | None, drawn: Array, column: int, row: int
) -> None:
    """The histogram of two coordinates on a logarithmic scale, which the data and the samples share."""
    across, up = coordinates[column], coordinates[row]
    bins = [up.edges(_CELLS), across.edges(_CELLS)]
    clouds = [drawn] if data is None else [drawn, data]
    shares = [np.histogram2d(cloud[:, row], cloud[:, column], bins=bins)[0] / max(len(cloud), 1) for cloud in clouds]
    high = max(float(share.max()) for share in shares)
    low = 0.5 / max(len(cloud) for cloud in clouds)  # an empty cell is drawn as half of one point
    share = shares[0] if row > column else shares[-1]
    axes.imshow(
        np.log(np.maximum(share, low)),
        cmap=density_colours(),
        vmin=np.log(low),
        vmax=np.log(max(high, 2.0 * low)),
        extent=(across.low, across.high, up.low, up.high),
        origin="lower",
    )


def _dress_panel(axes: Axes, across: PairAxis, up: PairAxis, width: float, *, last: bool, first: bool) -> None:
    """Numbers on the outer panels only, aligned inwards so that two neighbours' have room."""
    square = across is not up
    axes.set(xlim=(across.low, across.high), xticks=across.ticks)
    if square:
        shape = (across.high - across.low) / (up.high - up.low)
        axes.set(ylim=(up.low, up.high), yticks=up.ticks, aspect=shape)
    else:
        axes.set_yticks([])
        axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(labelsize=SMALL, colors=INK, width=0.8)
    for spine in axes.spines.values():
        spine.set(color=INK, linewidth=0.8)
    axes.tick_params(bottom=last, labelbottom=last, left=first, labelleft=first)
    if last:
        axes.set_xticklabels([across.label(tick) for tick in across.ticks])
        axes.set_xlabel(across.name, fontsize=NORMAL, color=INK)
        if across.bounded:
            for label, alignment in zip(axes.get_xticklabels(), ("left", "center", "right"), strict=True):
                label.set_horizontalalignment(alignment)
    if first:
        axes.set_ylabel(up.name, fontsize=NORMAL, color=INK)
        axes.yaxis.set_label_coords(-0.5 / width, 0.5)
        if square:
            axes.set_yticklabels([up.label(tick) for tick in up.ticks])
        if up.bounded:
            for label, alignment in zip(axes.get_yticklabels(), ("bottom", "center", "top"), strict=False):
                label.set_verticalalignment(alignment)


def _draw_key(figure: Figure, drawn: int, data: int | None, up: float, cell: str) -> None:
    """What the colours mean, above the panels."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Patch | Line2D] = [Patch(color=MODEL_COLOUR, alpha=0.45, label=plural(drawn, "sample"))]
    if data is not None:
        handles[0].set_label(f"{plural(drawn, 'sample')}, lower left")
        label = f"{plural(data, 'data point')}, upper right"
        handles.append(Line2D([], [], color=DATA_COLOUR, linewidth=1.2, label=label))
    handles.append(Patch(color=density_colours()(0.7), label=f"share per {cell}, logarithmic"))
    width, height = figure.get_size_inches()
    panels = height - up - (0.4 if figure.texts else 0.0)
    figure.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(0.5, (panels + 0.02) / height),
        ncols=len(handles) if width > 8.5 else 2,
        frameon=False,
        fontsize=NORMAL if width > 8.5 else SMALL,
        labelcolor=INK,
        borderpad=0.0,
    )
