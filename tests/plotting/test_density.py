"""The manifold decides on the picture."""

import math

import numpy as np
import pytest
import torch

import rmatch as rm
from rmatch.plotting import plot_density
from tests.plotting.laws import cloud


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


@pytest.mark.parametrize(
    ("manifold", "first"),
    [
        (rm.PoincareBall(2), "density"),
        (rm.Lorentz(2), "density"),
        (rm.SPD(2), "density"),
        (rm.SPD(2, metric="log-euclidean"), "density"),
        (rm.SpecialOrthogonal(3), "samples x"),
        (rm.Product(rm.Sphere(2), rm.Torus(1)), "samples 0"),
        (rm.Sphere(3), "marginal 0"),
        (rm.Sphere(1), "marginal 0"),
        (rm.Euclidean(2), "marginal 0"),
        (rm.PoincareBall(3), "marginal 0"),
        (rm.SPD(3), "marginal 0"),
    ],
)
def test_every_other_manifold_has_a_picture_of_its_own(manifold: rm.Manifold, first: str) -> None:
    origin = manifold.origin()
    figure = plot_density(
        manifold,
        lambda x: -manifold.dist(origin.to(x), x).square(),
        points=cloud(manifold),
        samples=cloud(manifold, seed=1),
        title="T",
        resolution=8,
    )
    assert figure.axes[0].get_label() == first
    if first != "density" or isinstance(manifold, rm.SPD):
        with pytest.raises(rm.OptionError, match="give samples"):
            plot_density(manifold, lambda x: x.flatten(1)[:, 0])


@pytest.mark.parametrize("manifold", [rm.Sphere(2), rm.PoincareBall(2), rm.SPD(2), rm.SpecialOrthogonal(3)])
def test_what_is_drawn_from_the_density_needs_one(manifold: rm.Manifold) -> None:
    with pytest.raises(rm.OptionError, match="needs log_density"):
        plot_density(manifold, None, samples=cloud(manifold))


def test_labels_of_factors_are_for_products() -> None:
    product = rm.Product(rm.Torus(1), rm.Torus(1))
    figure = plot_density(product, None, samples=cloud(product), labels=[["wind"], None])
    assert [axes.get_xlabel() for axes in figure.axes] == ["wind", "θ1"]
    with pytest.raises(rm.OptionError, match="one list of names, or None, for each factor"):
        plot_density(product, None, samples=cloud(product), labels=["a", "b"])
    with pytest.raises(rm.OptionError, match="for products only"):
        plot_density(rm.Torus(2), lambda x: x.sum(-1), labels=[["a"], ["b"]])


def test_another_period_is_named_in_the_label() -> None:
    torus = rm.Torus(1, periods=24.0)
    figure = plot_density(torus, lambda x: torch.zeros(len(x)), labels=["hour"], resolution=8)
    assert figure.axes[0].get_xlabel() == "hour × 15 (degrees)"


@pytest.mark.parametrize(
    ("one", "large", "radii"),
    [
        (rm.Sphere(2), rm.Sphere(2, radius=10.0), (10.0,) * 3),
        (rm.Torus(1), rm.Torus(1, periods=24.0), (12 / math.pi,)),
        (rm.Torus(2), rm.Torus(2, periods=(1.0, 24.0)), (0.5 / math.pi, 12 / math.pi)),
    ],
    ids=repr,
)
def test_a_large_manifold_gets_the_picture_of_the_unit_one(
    one: rm.Manifold, large: rm.Manifold, radii: tuple[float, ...]
) -> None:
    """Per steradian or square radian, and with the data in its place."""
    scale = torch.tensor(radii)
    x = rm.Uniform(one).sample((30,), generator=torch.Generator().manual_seed(0))
    width = 0.7 * (10.0 if isinstance(one, rm.Sphere) else scale)
    law, other = rm.WrappedNormal(one, x[0], 0.7), rm.WrappedNormal(large, x[0] * scale, width)
    wanted = plot_density(one, law.log_prob, points=x, coastlines=False, resolution=16)
    figure = plot_density(large, other.log_prob, points=x * scale, coastlines=False, resolution=16)
    for panel, other_panel in zip(figure.axes, wanted.axes, strict=True):
        for shown, expected in zip(panel.get_images(), other_panel.get_images(), strict=True):
            np.testing.assert_allclose(
                np.asarray(shown.get_array()), np.asarray(expected.get_array()), rtol=1e-4, atol=1e-4
            )
        for line, expected_line in zip(panel.get_lines(), other_panel.get_lines(), strict=True):
            np.testing.assert_allclose(
                np.asarray(line.get_xydata()), np.asarray(expected_line.get_xydata()), rtol=1e-4, atol=1e-3
            )
