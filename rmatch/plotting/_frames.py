"""Frames that points are drawn in: the hyperbolic disc, the cone of positive matrices, the ball of rotations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rmatch.plotting._figure import FAINT, INK, SMALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.patches import Circle

Array = NDArray[np.float64]

MANY = 2000  # from so many dots on, a vector file holds them as pixels
_CIRCLE = np.linspace(0.0, 2.0 * np.pi, 181)
# The camera of the cone looks down by this angle, so that its rims are ellipses and all of its inside is seen.
_DOWN = np.radians(16.0)
_HEIGHT = 1.35  # of the cone, in units of the radius of its rim, as it appears
_TURN = np.radians(25.0)


def draw_dots(axes: Axes, x: Array, y: Array, colour: Any, **options: Any) -> PathCollection:
    """Points as dots, smaller the more there are of them."""
    size = float(np.clip(6000.0 / max(len(x), 1), 0.6, 12.0))
    return axes.scatter(x, y, s=size, c=colour, alpha=0.7, linewidths=0.0, rasterized=len(x) > MANY, **options)


# ---- the disc -------------------------------------------------------------------------------------------------------


def draw_disc(axes: Axes, circles: Sequence[tuple[float, str]], colour: str) -> Circle:
    """The unit disc with concentric circles and their labels; returns the outline, to clip by.

    Args:
        axes: Where to draw.
        circles: Radius and label of each circle.
        colour: Of the lines: white over a density, grey over white paper.
    """
    from matplotlib.patches import Circle

    outline = Circle((0.0, 0.0), 1.0)
    axes.add_patch(outline)
    outline.set(facecolor="none", edgecolor=INK, linewidth=1.0, zorder=5)
    axes.set(xlim=(-1.02, 1.02), ylim=(-1.02, 1.02), aspect="equal", xticks=[], yticks=[])
    axes.axis("off")
    for radius, label in circles:
        axes.plot(radius * np.cos(_CIRCLE), radius * np.sin(_CIRCLE), color=colour, linewidth=0.6, alpha=0.35)
        place = radius * np.array([np.cos(0.4), -np.sin(0.4)])
        axes.text(place[0], place[1], label, fontsize=SMALL, color=colour, ha="center", va="center", zorder=6)
    return outline


# ---- the cone -------------------------------------------------------------------------------------------------------


def cone_places(matrices: Array) -> Array:
    """Matrices [[a, b], [b, c]], `(N, 2, 2)`, on the screen, `(N, 2)`: the trace goes up, a - c and b go around."""
    across, away = matrices[:, 0, 0] - matrices[:, 1, 1], 2.0 * matrices[:, 0, 1]
    return _project(matrices[:, 0, 0] + matrices[:, 1, 1], across, away)


def cone_top(clouds: Sequence[Array]) -> float:
    """The trace at which the cone is cut: a round number beyond nearly all matrices."""
    traces = np.concatenate([cloud[:, 0, 0] + cloud[:, 1, 1] for cloud in clouds])
    return float(_levels(min(traces.max(), 1.5 * np.quantile(traces, 0.98)))[-1])


def draw_cone(axes: Axes, top: float) -> None:
    """The cone of positive matrices up to a trace; around its rim, the ellipses that stand for matrices.

    Args:
        axes: Where to draw.
        top: From `cone_top`.
    """
    for trace in _levels(top):
        rim = _project(np.full(181, trace), trace * np.cos(_CIRCLE), trace * np.sin(_CIRCLE))
        in_front = np.sin(_CIRCLE + _TURN) < 0.0
        for part, style in ((in_front, "-"), (~in_front, ":")):
            line = np.where(part[:, None], rim, np.nan)
            axes.plot(line[:, 0], line[:, 1], color=FAINT, linewidth=0.8, linestyle=style, zorder=1)
        place = (trace + 0.08 * top, _HEIGHT * trace)
        axes.text(*place, f"trace {trace:g}", fontsize=SMALL, color=FAINT, ha="left", va="center")
    # The sides touch the upper rim where the line from the tip is tangent to its ellipse: at sin = -ratio on it.
    ratio = np.sin(_DOWN) / _HEIGHT
    width, height = top * np.sqrt(1.0 - ratio**2), top * (_HEIGHT - np.sin(_DOWN) * ratio)
    axes.plot([-width, 0.0, width], [height, 0.0, height], color=INK, linewidth=1.0, zorder=1)
    for angle in np.arange(8) * np.pi / 4.0:
        if np.sin(angle + _TURN) > -0.5:  # those in front would lie on the matrices
            around = 1.14 * top * np.array([[np.cos(angle), np.sin(angle)]])
            place = _project(np.array([top]), around[:, 0], around[:, 1])
            draw_ellipse(axes, place[0], 4.0, angle / 2.0, 0.06 * top, FAINT)
    axes.set(xlim=(-1.3 * top, 1.62 * top), ylim=(-0.1 * top, (_HEIGHT + 0.42) * top))
    axes.set(aspect="equal", xticks=[], yticks=[])
    axes.axis("off")


def _levels(top: float) -> Array:
    """Two to four round numbers from above zero to the one that is not below `top`."""
    step = 10.0 ** np.floor(np.log10(top))
    size = min((factor * step for factor in (0.25, 0.5, 1.0, 2.0, 5.0)), key=lambda size: (top / size > 3.999, size))
    return size * np.arange(1, int(np.ceil(top / size - 1e-9)) + 1)


def draw_ellipse(axes: Axes, place: Array, ratio: float, angle: float, size: float, colour: str) -> None:
    """The ellipse of a matrix as a sign: the ratio of its axes, and the direction of the longer one in radians."""
    from matplotlib.patches import Ellipse

    long, short = size * np.sqrt(ratio), size / np.sqrt(ratio)
    sign = Ellipse((float(place[0]), float(place[1])), long, short, angle=float(np.degrees(angle)))
    sign.set(facecolor="none", edgecolor=colour, linewidth=1.0, zorder=6)
    axes.add_patch(sign)


def _project(trace: Array, across: Array, away: Array) -> Array:
    x = across * np.cos(_TURN) - away * np.sin(_TURN)
    depth = across * np.sin(_TURN) + away * np.cos(_TURN)
    return np.stack([x, trace * _HEIGHT + depth * np.sin(_DOWN)], axis=-1)


# ---- the ball -------------------------------------------------------------------------------------------------------


def draw_ball(axes: Axes, across: str, up: str) -> None:
    """A view of the ball of rotation vectors, in degrees: circles at angles of 60, 120 and 180 degrees."""
    for angle in (60, 120, 180):
        outer = angle == 180
        x, y = angle * np.cos(_CIRCLE), angle * np.sin(_CIRCLE)
        axes.plot(x, y, color=INK if outer else FAINT, linewidth=1.0 if outer else 0.6, alpha=1.0 if outer else 0.5)
        place = angle * np.array([np.cos(0.25 * np.pi), -np.sin(0.25 * np.pi)])
        axes.text(place[0] + 3, place[1] - 3, f"{angle}°", fontsize=SMALL, color=FAINT, ha="left", va="top")
    axes.plot([-180, 180], [0, 0], color=FAINT, linewidth=0.6, alpha=0.5)
    axes.plot([0, 0], [-180, 180], color=FAINT, linewidth=0.6, alpha=0.5)
    axes.text(186, 0, across, fontsize=SMALL, color=INK, ha="left", va="center")
    axes.text(0, 186, up, fontsize=SMALL, color=INK, ha="center", va="bottom")
    axes.set(xlim=(-200, 210), ylim=(-195, 210), aspect="equal", xticks=[], yticks=[])
    axes.axis("off")
