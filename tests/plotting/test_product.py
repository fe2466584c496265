"""Pictures by factors and by pairs of coordinates."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

import rmatch as rm
from rmatch.plotting import plot_coordinates, plot_product
from rmatch.plotting._charts import chart_axes, chart_values
from tests.plotting.laws import cloud

Panels = Callable[[Figure], dict[str, Axes]]
Overlaps = Callable[[Figure], list[tuple[str, str]]]
EVERYTHING = rm.Product(
    rm.Sphere(2, radius=2.0), rm.Torus(1), rm.Lorentz(2), rm.SPD(2), rm.SpecialOrthogonal(3), rm.Euclidean(3), rm.SPD(3)
)


def test_each_factor_has_its_panels_with_samples_above_data(panels: Panels, overlapping_texts: Overlaps) -> None:
    figure = plot_product(EVERYTHING, points=cloud(EVERYTHING), samples=cloud(EVERYTHING, seed=1), title="A title")
    axes = panels(figure)
    headings = [axes[f"samples {k}"].get_title() for k in range(len(axes) // 2)]
    rotations = [f"SpecialOrthogonal(3), along {axis}" for axis in "xyz"]
    assert headings == [
        "Sphere(2, radius=2.0)",
        "Torus(1)",
        "Lorentz(2)",
        "SPD(2)",
        *rotations,
        *["Euclidean(3)"] * 2,
        *["SPD(3)"] * 3,
    ]
    assert all(f"data {k}" in axes for k in range(len(headings)))
    assert figure.get_size_inches()[0] < 30


@pytest.mark.parametrize(
    "factors",
    [
        (rm.Sphere(2), rm.Torus(1)),
        (rm.SPD(2), rm.SpecialOrthogonal(3)),
        (rm.PoincareBall(2), rm.Euclidean(2), rm.Torus(3)),
    ],
)
def test_no_text_lies_on_another(overlapping_texts: Overlaps, factors: tuple[rm.Manifold, ...]) -> None:
    manifold = rm.Product(*factors)
    figure = plot_product(manifold, points=cloud(manifold), samples=cloud(manifold, seed=1), title="A title")
    assert overlapping_texts(figure) == []


def test_the_panels_show_the_factors_own_points(panels: Panels) -> None:
    manifold = rm.Product(rm.Euclidean(2), rm.PoincareBall(2))
    points = cloud(manifold)
    axes = panels(plot_product(manifold, samples=points, labels=[["east", "north"], None]))
    for column, part in enumerate(manifold.split(points)):
        dots = next(c for c in axes[f"samples {column}"].collections if isinstance(c, PathCollection))
        np.testing.assert_allclose(np.asarray(dots.get_offsets()), part.numpy())
    assert (axes["samples 0"].get_xlabel(), axes["samples 0"].get_ylabel()) == ("east", "north")
    assert len(axes) == 2


def test_what_is_missing_is_named() -> None:
    manifold = rm.Product(rm.Torus(1), rm.Torus(1))
    with pytest.raises(rm.OptionError, match="give samples"):
        plot_product(manifold, samples=torch.zeros(0, 2))
    with pytest.raises(rm.OptionError, match="one list of names for each of the 2 factors"):
        plot_product(manifold, samples=cloud(manifold), labels=[["a"]])
    with pytest.raises(rm.OptionError, match="one for each of the 1 coordinates"):
        plot_product(manifold, samples=cloud(manifold), labels=[["a", "b"], None])
    with pytest.raises(rm.ShapeError, match="samples has shape"):
        plot_product(manifold, samples=torch.zeros(3, 3))


@pytest.mark.parametrize(
    ("manifold", "panels_across"),
    [
        (rm.Sphere(3), 4),
        (rm.PoincareBall(3), 3),
        (rm.SPD(3), 6),
        (rm.SPD(4), 8),
        (rm.Euclidean(2), 2),
        (rm.Sphere(1), 2),
    ],
)
def test_any_manifold_has_panels_for_pairs(
    overlapping_texts: Overlaps, manifold: rm.Manifold, panels_across: int
) -> None:
    figure = plot_coordinates(manifold, points=cloud(manifold), samples=cloud(manifold, 500, seed=1), title="A title")
    assert len(figure.axes) == panels_across**2
    assert overlapping_texts(figure) == []


def test_coordinates_are_those_that_a_person_reads() -> None:
    torus = rm.Torus(2, periods=(24.0, 2 * math.pi))
    values = chart_values(torus, torch.tensor([[6.0, 1.5 * math.pi]], dtype=torch.float64), "points")
    np.testing.assert_allclose(values, [[90.0, -90.0]])
    spd = torch.tensor([[[math.e, 0.0], [0.0, 1.0]]], dtype=torch.float64)
    np.testing.assert_allclose(chart_values(rm.SPD(2), spd, "points"), [[1.0, 0.0, 0.0]], atol=1e-15)
    sheet = torch.tensor([[math.cosh(1.0), math.sinh(1.0), 0.0]], dtype=torch.float64)
    np.testing.assert_allclose(chart_values(rm.Lorentz(2), sheet, "points"), [[math.tanh(0.5), 0.0]])
    sphere = torch.tensor([[0.0, 3.0]], dtype=torch.float64)
    np.testing.assert_allclose(chart_values(rm.Sphere(1, radius=3.0), sphere, "points"), [[0.0, 1.0]])
    product = rm.Product(rm.Torus(1), rm.SPD(2))
    point = product.join([torch.full((1, 1), math.pi / 2, dtype=torch.float64), spd])
    np.testing.assert_allclose(chart_values(product, point, "points"), [[90.0, 1.0, 0.0, 0.0]], atol=1e-13)
    assert [axis.name for axis in chart_axes(product, None, [np.zeros((1, 4))])] == ["θ1", "log 11", "log 12", "log 22"]


def test_open_ranges_hold_nearly_all_points_between_round_ticks() -> None:
    values = np.random.default_rng(0).normal(size=(5000, 1)) * 3.0 + 100.0
    (axis,) = chart_axes(rm.Euclidean(1), ["east"], [values])
    assert axis.name == "east"
    assert 0.99 < float(((values > axis.low) & (values < axis.high)).mean()) <= 1.0
    assert axis.ticks == [90.0, 95.0, 100.0, 105.0]
    (same,) = chart_axes(rm.Euclidean(1), None, [np.full((5, 1), 2.0)])
    assert same.low < 2.0 < same.high


def test_a_point_off_its_manifold_is_refused() -> None:
    with pytest.raises(rm.PointError, match="off the manifold"):
        plot_coordinates(rm.Sphere(3), samples=torch.ones(5, 4))
