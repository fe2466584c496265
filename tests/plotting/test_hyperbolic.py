"""The picture of a density on the hyperbolic plane."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from torch import Tensor

import rmatch as rm
from rmatch.manifolds import poincare_to_lorentz
from rmatch.plotting import plot_hyperbolic
from tests.plotting.laws import cloud

Panels = Callable[[Figure], dict[str, Axes]]
Overlaps = Callable[[Figure], list[tuple[str, str]]]


def by_distance(manifold: rm.Manifold) -> Callable[[Tensor], Tensor]:
    """The log-density -d, with d the distance from the origin."""
    return lambda x: -manifold.dist(manifold.origin(dtype=x.dtype), x)


@pytest.mark.parametrize("curvature", [-1.0, -0.25])
@pytest.mark.parametrize("member", [rm.PoincareBall, rm.Lorentz])
def test_each_pixel_shows_the_density_of_its_place(panels: Panels, member: type, curvature: float) -> None:
    """At the place ρ of the unit disc the distance from the centre is 2R artanh ρ, R the radius of curvature."""
    manifold = member(2, curvature=curvature)
    axes = panels(plot_hyperbolic(manifold, by_distance(manifold), resolution=64))
    assert list(axes) == ["density", "colour bar"]
    pixels = np.ma.asarray(axes["density"].images[0].get_array()).filled(np.nan)
    middle = pixels[len(pixels) // 2]
    x = (np.arange(len(middle)) + 0.5) * 2.0 / len(middle) - 1.0
    inside = (np.abs(x) < 0.9) & (np.abs(x) > 0.1)
    expected = -2.0 * (-curvature) ** -0.5 * np.arctanh(np.abs(x[inside]))
    np.testing.assert_allclose(middle[inside], expected, atol=0.02 * (-curvature) ** -0.5)
    assert np.isfinite(pixels).all()
    assert axes["colour bar"].get_ylabel() == "log density (nats per unit of area)"


def test_both_models_give_one_picture(panels: Panels) -> None:
    ball, sheet = rm.PoincareBall(2, curvature=-4.0), rm.Lorentz(2, curvature=-4.0)
    points = cloud(ball)
    pictures = [
        panels(plot_hyperbolic(ball, by_distance(ball), points=points, resolution=16)),
        panels(plot_hyperbolic(sheet, by_distance(sheet), points=poincare_to_lorentz(points, -4.0), resolution=16)),
    ]
    dots = [
        np.asarray(next(c for c in axes["data points"].collections if isinstance(c, PathCollection)).get_offsets())
        for axes in pictures
    ]
    np.testing.assert_allclose(dots[0], 2.0 * points.numpy(), atol=1e-14)
    np.testing.assert_allclose(dots[1], dots[0], atol=1e-12)
    images = [np.ma.asarray(axes["density"].images[0].get_array()) for axes in pictures]
    np.testing.assert_allclose(images[0], images[1], atol=1e-3)


def test_circles_are_at_equal_steps_of_distance(panels: Panels) -> None:
    """A circle at distance r has the radius tanh(r/2R) in the disc."""
    manifold = rm.PoincareBall(2, curvature=-0.25)
    axes = panels(plot_hyperbolic(manifold, by_distance(manifold), resolution=16))["density"]
    radii = [float(np.hypot(*np.asarray(line.get_xydata())[0])) for line in axes.lines]
    labels = [text.get_text() for text in axes.texts]
    assert labels[:3] == ["2", "4", "6"]
    assert radii == pytest.approx([math.tanh(r / 4.0) for r in (2.0, 4.0, 6.0)])


def test_no_text_lies_on_another(overlapping_texts: Overlaps) -> None:
    manifold = rm.PoincareBall(2)
    figure = plot_hyperbolic(
        manifold, by_distance(manifold), points=cloud(manifold), samples=cloud(manifold), title="A title", resolution=16
    )
    assert [axes.get_label() for axes in figure.axes] == ["density", "colour bar", "data points", "samples"]
    assert overlapping_texts(figure) == []


def test_bad_arguments_are_named() -> None:
    ball = rm.PoincareBall(2)
    with pytest.raises(rm.OptionError, match=r"of dimension 2, not of PoincareBall\(3\)"):
        plot_hyperbolic(rm.PoincareBall(3), lambda x: x[:, 0])
    with pytest.raises(rm.PointError):
        plot_hyperbolic(ball, by_distance(ball), points=torch.tensor([[1.1, 0.0]]))
    with pytest.raises(rm.ShapeError, match="points has shape"):
        plot_hyperbolic(ball, by_distance(ball), points=torch.zeros(2, 3))
    plot_hyperbolic(ball, by_distance(ball), points=torch.zeros(0, 2), resolution=8)
