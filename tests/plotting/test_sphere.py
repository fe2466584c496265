"""The picture of a density on S²."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from torch import Tensor

from rmatch import PointError
from rmatch.plotting import plot_sphere
from rmatch.plotting.projections import mollweide

Panels = Callable[[Figure], dict[str, Axes]]
POINTS = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [-0.6, 0.0, -0.8]], dtype=torch.float64)


def two_modes(x: Tensor) -> Tensor:
    return torch.logaddexp(40.0 * x[:, 0] - 40.0, 20.0 * x[:, 2] - 20.0)


@pytest.mark.parametrize("coastlines", [True, False])
def test_map_globe_and_colour_bar_hold_finite_data(panels: Panels, coastlines: bool) -> None:
    figure = plot_sphere(two_modes, points=POINTS, title="two modes", coastlines=coastlines, resolution=24)
    axes = panels(figure)
    assert list(axes) == ["map", "globe", "colour bar"]
    for name, half in (("map", (2.0 * np.sqrt(2.0), np.sqrt(2.0))), ("globe", (1.0, 1.0))):
        (image,) = axes[name].images
        pixels = np.ma.asarray(image.get_array())
        rows, columns = pixels.shape
        x = (np.arange(columns) + 0.5) * 2.0 / columns - 1.0
        y = (np.arange(rows) + 0.5) * 2.0 / rows - 1.0
        inside = np.hypot(*np.meshgrid(x, y)) < 1.002  # with the pixels whose inner corner only is inside
        assert np.isfinite(pixels[inside].filled(np.nan)).all()
        assert image.get_extent() == pytest.approx((-half[0], half[0], -half[1], half[1]))
        assert axes[name].get_aspect() == 1.0
        graticule, shore = (item for item in axes[name].collections if isinstance(item, LineCollection))
        assert len(graticule.get_segments()) > 10
        assert (len(shore.get_segments()) > 30) == coastlines
        assert coastlines or not shore.get_segments()
    assert axes["colour bar"].get_xlabel() == "log density (nats per steradian)"


def test_each_pixel_shows_the_density_of_its_place(panels: Panels) -> None:
    """log p = 3z: on the map z is known from y in closed form, and the globe looks down on the North Pole."""
    axes = panels(plot_sphere(lambda x: 3.0 * x[:, 2], resolution=32))
    pixels = np.ma.asarray(axes["map"].images[0].get_array()).filled(np.nan)
    rows, columns = pixels.shape
    theta = np.arcsin((np.arange(rows) + 0.5) * 2.0 / rows - 1.0)
    sine = (2.0 * theta + np.sin(2.0 * theta)) / np.pi
    assert pixels[:, columns // 2] == pytest.approx(3.0 * sine, abs=5e-3)
    globe = np.ma.asarray(axes["globe"].images[0].get_array())
    middle = globe[globe.shape[0] // 2, globe.shape[1] // 2]
    assert middle == pytest.approx(3.0, abs=0.03)


def test_the_data_are_dots_at_their_places(panels: Panels) -> None:
    axes = panels(plot_sphere(two_modes, points=POINTS, resolution=16))["map"]
    dots = next(item for item in axes.collections if isinstance(item, PathCollection))
    expected = np.stack(mollweide([0.0, 0.0, 180.0], [0.0, 90.0, -np.degrees(np.arctan2(0.8, 0.6))]), axis=-1)
    assert np.asarray(dots.get_offsets()) == pytest.approx(expected, abs=1e-9)
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["3 data points"]


@pytest.mark.parametrize("coastlines", [True, False])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_no_text_lies_on_another(
    overlapping_texts: Callable[[Figure], list[tuple[str, str]]], coastlines: bool, sign: float
) -> None:
    figure = plot_sphere(
        lambda x: 5.0 * sign * x[:, 2] - 2.0, points=POINTS, title="A title", coastlines=coastlines, resolution=16
    )
    assert overlapping_texts(figure) == []


def test_no_data_rows_are_no_problem(panels: Panels) -> None:
    figure = plot_sphere(two_modes, points=torch.zeros(0, 3), resolution=16)
    assert panels(figure)["map"].get_legend() is not None


def test_a_point_off_the_sphere_is_refused() -> None:
    with pytest.raises(PointError, match="off the manifold"):
        plot_sphere(two_modes, points=torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.01]]), resolution=16)
