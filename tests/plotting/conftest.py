"""Helpers to look at a figure without drawing it."""

from collections.abc import Callable, Iterator

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure


@pytest.fixture
def panels() -> Callable[[Figure], dict[str, Axes]]:
    """The axes of a figure by their label."""

    def by_label(figure: Figure) -> dict[str, Axes]:
        return {str(axes.get_label()): axes for axes in figure.axes}

    return by_label


@pytest.fixture
def overlapping_texts() -> Callable[[Figure], list[tuple[str, str]]]:
    """Pairs of texts that lie on one another, and texts that leave the figure."""

    def texts(figure: Figure) -> Iterator[tuple[str, tuple[float, float, float, float]]]:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.text import Text

        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        for text in figure.findobj(Text):
            if isinstance(text, Text) and text.get_visible() and text.get_text().strip():
                box = text.get_window_extent(canvas.get_renderer())
                yield text.get_text(), (box.x0, box.y0, box.x1, box.y1)

    def find(figure: Figure) -> list[tuple[str, str]]:
        width, height = figure.get_size_inches() * figure.dpi
        boxes = list(texts(figure))
        found = [
            (name, "the figure's edge") for name, (x0, y0, x1, y1) in boxes if min(x0, y0, width - x1, height - y1) < 0
        ]
        for index, (name, (x0, y0, x1, y1)) in enumerate(boxes):
            for other, (u0, v0, u1, v1) in boxes[index + 1 :]:
                if min(x1, u1) - max(x0, u0) > 0.0 and min(y1, v1) - max(y0, v0) > 0.0:
                    found.append((name, other))
        return found

    return find
