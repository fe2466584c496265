"""The pictures of densities on T^d."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from rmatch import OptionError, ShapeError
from rmatch.plotting import plot_torus

Panels = Callable[[Figure], dict[str, Axes]]
Overlaps = Callable[[Figure], list[tuple[str, str]]]


def cosines(x: Tensor) -> Tensor:
    """The product of von Mises densities with concentration 1, log I_0(1) = 0.2359."""
    return x.cos().sum(-1) - x.shape[-1] * math.log(2.0 * math.pi * 1.2660658777520082)


def angles(count: int, dim: int) -> Tensor:
    return torch.rand(count, dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2.0 * math.pi


def test_one_angle_is_a_curve_over_a_histogram_of_area_one(panels: Panels, overlapping_texts: Overlaps) -> None:
    figure = plot_torus(cosines, 1, points=angles(500, 1), samples=angles(300, 1), labels=["phi"], title="A title")
    axes = panels(figure)["density"]
    (curve,) = axes.lines
    x, y = np.asarray(curve.get_xdata(), float), np.asarray(curve.get_ydata(), float)
    assert (x[0], x[-1]) == (-180.0, 180.0)
    assert y == pytest.approx(np.exp(np.cos(np.radians(x))) / (2.0 * np.pi * 1.2660658777520082), rel=1e-5)
    bars = [bar for bar in axes.patches if isinstance(bar, Rectangle)]
    assert sum(bar.get_height() * np.radians(bar.get_width()) for bar in bars) == pytest.approx(2.0)
    assert axes.get_xlabel() == "phi (degrees)"
    assert overlapping_texts(figure) == []


def test_two_angles_are_a_periodic_square_beside_the_data(panels: Panels, overlapping_texts: Overlaps) -> None:
    points = torch.tensor([[0.5 * math.pi, 1.5 * math.pi], [math.pi, 0.25 * math.pi]])
    figure = plot_torus(
        cosines, 2, points=points, samples=angles(50, 2), labels=["phi", "psi"], title="T", resolution=32
    )
    axes = panels(figure)
    assert list(axes) == ["density", "colour bar", "data points", "samples"]
    (image,) = axes["density"].images
    assert image.get_extent() == [-180.0, 180.0, -180.0, 180.0]
    assert np.isfinite(np.ma.asarray(image.get_array()).filled(np.nan)).all()
    for name in ("density", "data points", "samples"):
        assert axes[name].get_aspect() == 1.0
        assert axes[name].get_xlim() == axes[name].get_ylim() == (-180.0, 180.0)
        assert axes[name].get_xticks().tolist() == axes[name].get_yticks().tolist() == list(range(-180, 181, 60))
    dots = next(item for item in axes["data points"].collections if isinstance(item, PathCollection))
    assert np.asarray(dots.get_offsets()) == pytest.approx(np.array([[90.0, -90.0], [-180.0, 45.0]]), abs=1e-4)
    assert axes["density"].get_xlabel() == "phi (degrees)"
    assert axes["density"].get_ylabel() == "psi (degrees)"
    assert axes["colour bar"].get_ylabel() == "log density (nats per square radian)"
    assert overlapping_texts(figure) == []


def test_more_angles_are_panels_of_samples_below_and_data_above_the_diagonal(panels: Panels) -> None:
    """Every sample at 90°, 0°, -90° and every datum at 0°, 90°, 0°: one bright cell in a panel, at that place."""
    samples = torch.tensor([0.5, 0.0, 1.5]).mul(math.pi).add(0.01).expand(40, 3)
    points = torch.tensor([0.0, 0.5, 0.0]).mul(math.pi).add(0.01).expand(30, 3)
    axes = panels(plot_torus(None, 3, points=points, samples=samples))
    assert len(axes) == 9
    places = {"samples": (90, 0, -90), "data": (0, 90, 0)}
    for name, panel in axes.items():
        kind, *pair = name.split()
        if kind == "marginal":
            assert not panel.images
            continue
        column, row = map(int, pair)
        assert (kind == "samples") == (row > column)
        share = np.ma.asarray(panel.images[0].get_array())
        brightest = tuple(int(index) for index in np.unravel_index(np.argmax(share), share.shape))
        assert brightest == ((places[kind][row] + 180) // 6, (places[kind][column] + 180) // 6)
        assert share.max() == pytest.approx(0.0)
        assert share.min() == pytest.approx(math.log(0.5 / 40))


@pytest.mark.parametrize(("dim", "with_data"), [(3, False), (3, True), (5, True)])
def test_no_text_lies_on_another(overlapping_texts: Overlaps, dim: int, with_data: bool) -> None:
    points = angles(12000, dim) if with_data else None
    assert overlapping_texts(plot_torus(None, dim, points=points, samples=angles(10000, dim), title="A title")) == []


def test_without_data_only_the_lower_triangle_is_drawn(panels: Panels) -> None:
    figure = plot_torus(None, 4, samples=angles(20, 4), points=torch.zeros(0, 4))
    assert sum(name.startswith("samples") for name in panels(figure)) == 6
    assert len(figure.axes) == 10


def test_what_is_missing_is_named() -> None:
    with pytest.raises(OptionError, match="give samples"):
        plot_torus(cosines, 3, points=angles(5, 3))
    with pytest.raises(OptionError, match="give samples"):
        plot_torus(cosines, 3, samples=torch.zeros(0, 3))
    with pytest.raises(OptionError, match="needs log_density"):
        plot_torus(None, 2, samples=angles(5, 2))


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(OptionError, match="one for each of the 2 angles"):
        plot_torus(cosines, 2, labels=["phi"])
    with pytest.raises(OptionError, match="dim is 0"):
        plot_torus(cosines, 0)
    with pytest.raises(ShapeError, match="samples has shape"):
        plot_torus(cosines, 2, samples=angles(5, 3))
