"""The picture of a comparison: what several trainings of one network reach, cost, get right and get wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rmatch._errors import OptionError
from rmatch.manifolds import Manifold, Sphere
from rmatch.objectives import Pairing
from rmatch.plotting._charts import chart_axes, chart_values
from rmatch.plotting._figure import DATA_COLOUR, FAINT, INK, NORMAL, SMALL, add_axes, new_figure
from rmatch.plotting._frames import draw_dots
from rmatch.plotting.coastlines import coastlines as coastline_lines
from rmatch.plotting.projections import (
    MOLLWEIDE_HALF_HEIGHT,
    MOLLWEIDE_HALF_WIDTH,
    mollweide,
    mollweide_lines,
    to_longitude_latitude,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

COLOURS = ("#b5367a", "#d9822b", "#4d8b31", "#6a5acd")
_SHOWN = 2000  # dots in a panel
_BINS = 60
_LEFT, _GAP, _SIDE = 0.85, 0.85, 3.1


class Entry(NamedTuple):
    """One training of a comparison.

    Args:
        name: What to call it.
        seconds: When its scores were taken.
        nll: The scores, NLL in nats; those that are not finite are left out.
        step_seconds: The time of one step.
        astray: The share of its samples that lie away from the data; `None` without samples.
        samples: Draws from it, `(N, *point_shape)`, or `None`.
    """

    name: str
    seconds: Sequence[float]
    nll: Sequence[float]
    step_seconds: float
    astray: float | None
    samples: Tensor | None


def plot_comparison(
    manifold: Manifold,
    entries: Sequence[Entry],
    *,
    points: Tensor,
    lines: Sequence[tuple[str, float]] = (),
    pairings: Sequence[tuple[str, Pairing]] = (),
    labels: Sequence[str] | None = None,
    title: str | None = None,
    coastlines: bool = False,
) -> Figure:
    """Draw a comparison of trainings on one data set.

    Above: the NLL over time, the cost of a step, and how many samples go astray. Between: the three pairings over t.
    Below: the data, and samples of each training.

    Args:
        manifold: The manifold.
        entries: The trainings, at most four.
        points: The data, `(P, *point_shape)`.
        lines: Names and NLL of models that need no training.
        pairings: Names of pairs and their pairings.
        labels: Names of the first two coordinates; not used on S², which is drawn as a map.
        title: A line above the picture.
        coastlines: Whether to draw those of the Earth on S².

    Returns:
        The figure.

    Raises:
        OptionError: There are no entries, or more than four.
        DependencyError: matplotlib is not installed.

    Example:
        >>> import torch, rmatch as rm
        >>> from rmatch.plotting import Entry, plot_comparison
        >>> x = torch.rand(50, 2)
        >>> entry = Entry("flow", [1.0, 2.0], [3.0, 2.5], 0.02, 0.01, x)
        >>> figure = plot_comparison(rm.Torus(2), [entry], points=x)
        >>> [axes.get_label() for axes in figure.axes]
        ['NLL', 'cost', 'astray', 'data', 'flow']
    """
    if not 1 <= len(entries) <= len(COLOURS):
        raise OptionError(f"a comparison draws 1 to {len(COLOURS)} trainings, got {len(entries)}")
    top = 0.6 if title is not None else 0.25
    rows = 3 if pairings else 2
    on_globe = isinstance(manifold, Sphere) and manifold.dim == 2
    width = max(12.4, _LEFT + (len(entries) + 1) * (_SIDE + (0.15 if on_globe else _GAP)))
    below = 1.75 if on_globe else _SIDE
    up = below + 1.45 + (rows - 2) * 3.75
    figure = new_figure(width, up + 3.05 + top, title)
    _draw_scores(add_axes(figure, _LEFT, up, 5.2, 2.85), entries, lines)
    _draw_bars(add_axes(figure, 7.05, up, 2.1, 2.85), "cost", "milliseconds per step", entries)
    _draw_bars(add_axes(figure, 10.05, up, 2.1, 2.85), "astray", "samples away from the data (%)", entries)
    if pairings:
        _draw_pairings(figure, below + 1.45, pairings)
    clouds = [("data", points, DATA_COLOUR)]
    for entry, colour in zip(entries, COLOURS, strict=False):
        if entry.samples is not None:
            clouds.append((entry.name, entry.samples, colour))
    _draw_clouds(figure, manifold, clouds, labels, coastlines)
    return figure


def _draw_scores(axes: Axes, entries: Sequence[Entry], lines: Sequence[tuple[str, float]]) -> None:
    axes.set_label("NLL")
    for entry, colour in zip(entries, COLOURS, strict=False):
        good = [(second, nll) for second, nll in zip(entry.seconds, entry.nll, strict=True) if math.isfinite(nll)]
        if good:
            axes.plot(*zip(*good, strict=True), color=colour, marker="o", markersize=3.5, label=entry.name)
    for (name, value), style in zip(lines, ("--", ":", "-."), strict=False):
        axes.axhline(value, color=FAINT, linewidth=1.0, linestyle=style, label=name)
    _style(axes, "seconds of training", "NLL on validation rows (nats)")
    axes.legend(frameon=False, fontsize=SMALL, labelcolor=INK)


def _draw_bars(axes: Axes, kind: str, label: str, entries: Sequence[Entry]) -> None:
    axes.set_label(kind)
    values = [1e3 * entry.step_seconds if kind == "cost" else entry.astray for entry in entries]
    scale = 1.0 if kind == "cost" else 100.0
    names = [entry.name.replace(" ", "\n") for entry in entries]
    bars = axes.bar(names, [scale * (value or 0.0) for value in values], color=COLOURS[: len(entries)], width=0.6)
    texts = ["none" if value is None else _short(scale * value) for value in values]
    axes.bar_label(bars, texts, fontsize=SMALL)
    axes.margins(y=0.12)
    _style(axes, "", label)


def _draw_pairings(figure: Figure, up: float, pairings: Sequence[tuple[str, Pairing]]) -> None:
    names = (
        ("kl_rate", "d KL / dt (nats)", "linear"),
        ("score_matching", "score matching, E |∇log p − ∇log q|²", "log"),
        ("flow_matching", "flow matching, E |V − W|²", "log"),
    )
    for column, (name, label, scale) in enumerate(names):
        axes = add_axes(figure, _LEFT + 4.0 * column, up, 3.1, 2.75)
        axes.set_label(name)
        for (pair, numbers), colour in zip(pairings, COLOURS[1:], strict=False):
            values = getattr(numbers.over_time, name).numpy()
            errors = getattr(numbers.over_time_errors, name).numpy()
            shown = values > 0 if scale == "log" else np.isfinite(values)
            t = numbers.t.numpy()[shown]
            axes.errorbar(t, values[shown], errors[shown], color=colour, capsize=2.0, linewidth=1.2, label=pair)
        axes.set_yscale(scale)
        _style(axes, "t", label)
        if column == 0:
            axes.axhline(0.0, color=FAINT, linewidth=0.8)
            axes.legend(frameon=False, fontsize=SMALL, labelcolor=INK)


def _draw_clouds(
    figure: Figure,
    manifold: Manifold,
    clouds: Sequence[tuple[str, Tensor, str]],
    labels: Sequence[str] | None,
    coastlines: bool,
) -> None:
    """The data and the samples, side by side and of the same number."""
    least = min(_SHOWN, *(len(points) for _, points, _ in clouds))
    thinned = [points[torch.randperm(len(points), generator=_seeded())[:least]] for _, points, _ in clouds]
    if isinstance(manifold, Sphere) and manifold.dim == 2:
        for column, ((name, _, colour), points) in enumerate(zip(clouds, thinned, strict=True)):
            axes = add_axes(figure, 0.2 + column * (_SIDE + 0.1), 0.35, _SIDE, 1.75)
            _draw_map(axes, manifold.features(points).double().numpy(), colour, coastlines)
            _name(axes, name)
        return
    charts = [chart_values(manifold, points, name) for (name, _, _), points in zip(clouds, thinned, strict=True)]
    first = chart_axes(manifold, labels, charts)[:2]
    for column, ((name, _, colour), chart) in enumerate(zip(clouds, charts, strict=True)):
        axes = add_axes(figure, _LEFT + column * (_SIDE + _GAP - 0.1), 0.65, _SIDE, _SIDE)
        if len(first) == 1:
            axes.hist(chart[:, 0], bins=first[0].edges(_BINS), color=colour)
        else:
            draw_dots(axes, chart[:, 0], chart[:, 1], colour)
            axes.set(ylim=(first[1].low, first[1].high))
        axes.set(xlim=(first[0].low, first[0].high))
        _style(axes, first[0].name, first[1].name if len(first) > 1 and column == 0 else "")
        _name(axes, name)


def _draw_map(axes: Axes, vectors: Array, colour: str, coastlines: bool) -> None:
    """Points on a Mollweide map."""
    from matplotlib.collections import LineCollection
    from matplotlib.patches import Ellipse

    across, up = MOLLWEIDE_HALF_WIDTH, MOLLWEIDE_HALF_HEIGHT
    outline = Ellipse((0.0, 0.0), 2.0 * across, 2.0 * up, facecolor="none", edgecolor=INK, linewidth=0.8)
    axes.add_patch(outline)
    if coastlines:
        pieces = [piece for line in coastline_lines() for piece in mollweide_lines(line)]
        shore = LineCollection(pieces, colors=FAINT, linewidths=0.4, alpha=0.7)
        axes.add_collection(shore, autolim=False)
        shore.set_clip_path(outline)
    draw_dots(axes, *mollweide(*to_longitude_latitude(vectors)), colour)
    axes.set(xlim=(-1.01 * across, 1.01 * across), ylim=(-1.01 * up, 1.01 * up), aspect="equal")
    axes.axis("off")


def _short(value: float) -> str:
    """Three digits, or whole."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _name(axes: Axes, name: str) -> None:
    axes.set_label(name)
    axes.set_title(name, fontsize=NORMAL, color=INK)


def _style(axes: Axes, across: str, up: str) -> None:
    axes.set_xlabel(across, fontsize=SMALL, color=INK)
    axes.set_ylabel(up, fontsize=SMALL, color=INK)
    axes.tick_params(labelsize=SMALL, colors=INK, width=0.8)
    axes.spines[["top", "right"]].set_visible(False)


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)
