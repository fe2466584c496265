"""The manifold decides on the picture."""

import pytest
import torch

import rmatch as rm
from rmatch.plotting import plot_density


def test_the_sphere_gets_a_map() -> None:
    figure = plot_density(
        rm.Sphere(2), lambda x: x[:, 0], points=torch.eye(3), title="T", coastlines=False, resolution=16
    )
    assert [axes.get_label() for axes in figure.axes] == ["map", "globe", "colour bar"]
    assert [text.get_text() for text in figure.texts] == ["T"]
    assert any(text.get_text() == "60° E" for text in figure.axes[0].texts), "without coastlines, meridians have names"


@pytest.mark.parametrize(("dim", "axes"), [(1, 1), (2, 4), (3, 9)])
def test_the_torus_gets_what_its_dimension_asks_for(dim: int, axes: int) -> None:
    labels = [f"angle {index}" for index in range(dim)]
    points = torch.ones(4, dim)
    figure = plot_density(
        rm.Torus(dim), lambda x: x.cos().sum(-1), points=points, samples=points, labels=labels, resolution=16
    )
    assert len(figure.axes) == axes
    assert any("angle 0" in panel.get_xlabel() for panel in figure.axes)


@pytest.mark.parametrize("manifold", [rm.Sphere(3), rm.Sphere(1), rm.Euclidean(2)])
def test_a_manifold_without_a_picture_is_told_which_have_one(manifold: rm.Manifold) -> None:
    with pytest.raises(rm.OptionError, match=r"no picture; .* Sphere\(2\), and Torus\(d\)"):
        plot_density(manifold, lambda x: x[:, 0])


def test_the_sphere_needs_a_density() -> None:
    with pytest.raises(rm.OptionError, match="needs log_density"):
        plot_density(rm.Sphere(2), None)
