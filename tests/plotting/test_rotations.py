"""The picture of a density on the rotations of space."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from scipy.spatial.transform import Rotation
from torch import Tensor

import rmatch as rm
from rmatch.plotting import plot_rotations
from tests.plotting.laws import cloud

Panels = Callable[[Figure], dict[str, Axes]]
Overlaps = Callable[[Figure], list[tuple[str, str]]]
M = rm.SpecialOrthogonal(3)


def by_trace(x: Tensor) -> Tensor:
    return x.diagonal(dim1=-2, dim2=-1).sum(-1)


def dots_of(axes: Axes) -> PathCollection:
    return next(c for c in axes.collections if isinstance(c, PathCollection))


def test_rotations_stand_at_their_axis_times_their_angle(panels: Panels) -> None:
    vectors = np.array([[30.0, 0.0, 0.0], [0.0, 90.0, 0.0], [0.0, 0.0, -150.0]])
    points = torch.from_numpy(Rotation.from_rotvec(np.radians(vectors)).as_matrix())
    axes = panels(plot_rotations(M, by_trace, points=points, samples=points))
    for view, (across, up) in {"x": (1, 2), "y": (2, 0), "z": (0, 1)}.items():
        dots = np.asarray(dots_of(axes[f"data {view}"]).get_offsets())
        np.testing.assert_allclose(dots, vectors[:, [across, up]], atol=1e-9)


def test_samples_are_coloured_by_their_density_the_densest_on_top(panels: Panels) -> None:
    """The trace is 1 + 2 cos(angle)."""
    vectors = np.array([[0.0, 0.0, 10.0], [0.0, 0.0, 60.0], [0.0, 0.0, 30.0]])
    samples = torch.from_numpy(Rotation.from_rotvec(np.radians(vectors)).as_matrix())
    dots = dots_of(panels(plot_rotations(M, by_trace, samples=samples))["samples x"])
    np.testing.assert_allclose(np.asarray(dots.get_offsets())[:, 1], [60, 30, 10], atol=1e-9)
    expected = 1 + 2 * np.cos(np.radians([60, 30, 10]))
    np.testing.assert_allclose(np.asarray(dots.get_array()), expected, atol=1e-6)


@pytest.mark.parametrize("with_data", [True, False])
def test_all_panels_are_there_and_no_text_lies_on_another(overlapping_texts: Overlaps, with_data: bool) -> None:
    figure = plot_rotations(M, by_trace, points=cloud(M) if with_data else None, samples=cloud(M), title="A title")
    labels = [str(axes.get_label()) for axes in figure.axes]
    assert [label for label in labels if label.startswith("samples")] == ["samples x", "samples y", "samples z"]
    assert sum(label.startswith("data") for label in labels) == 3 * with_data
    assert labels[-1] == "colour bar"
    assert overlapping_texts(figure) == []


def test_at_most_4000_samples_are_evaluated() -> None:
    seen = 0

    def counting(x: Tensor) -> Tensor:
        nonlocal seen
        seen += len(x)
        return by_trace(x)

    plot_rotations(M, counting, samples=cloud(M, 5000))
    assert seen == 4000


def test_bad_arguments_are_named() -> None:
    with pytest.raises(rm.OptionError, match="give samples"):
        plot_rotations(M, by_trace, samples=torch.zeros(0, 3, 3))
    with pytest.raises(rm.PointError):
        plot_rotations(M, by_trace, samples=torch.ones(2, 3, 3))
    with pytest.raises(rm.ShapeError, match="samples has shape"):
        plot_rotations(M, by_trace, samples=torch.ones(2, 4))
