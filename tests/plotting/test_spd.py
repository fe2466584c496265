"""The picture of a density on positive definite 2 × 2 matrices."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from torch import Tensor

import rmatch as rm
from rmatch.plotting import plot_spd
from rmatch.plotting._frames import cone_places
from rmatch.plotting.spd import shape_matrices
from tests.plotting.laws import cloud

Panels = Callable[[Figure], dict[str, Axes]]
Overlaps = Callable[[Figure], list[tuple[str, str]]]


def normal(x: Tensor) -> Tensor:
    """exp(-d²/2) of the affine-invariant distance to the identity."""
    return -0.5 * torch.linalg.eigvalsh(x).log().square().sum(-1)


def test_places_of_the_disc_are_matrices_of_determinant_one() -> None:
    """At ρ the ratio of the axes is (1 + ρ)/(1 - ρ), and the longer axis has half the angle of the place."""
    angle = torch.tensor([0.3, 2.0, -2.5], dtype=torch.float64)
    rho = torch.tensor([0.0, 0.4, 0.9], dtype=torch.float64)
    matrices = shape_matrices(rho[:, None] * torch.stack([angle.cos(), angle.sin()], -1))
    torch.testing.assert_close(torch.linalg.det(matrices), torch.ones(3, dtype=torch.float64))
    values, vectors = torch.linalg.eigh(matrices)
    torch.testing.assert_close((values[:, 1] / values[:, 0]).sqrt(), (1 + rho) / (1 - rho))
    for k in (1, 2):
        direction = torch.stack([(angle[k] / 2).cos(), (angle[k] / 2).sin()])
        assert float((vectors[k, :, 1] @ direction).abs()) == pytest.approx(1.0)


def test_the_disc_shows_the_density_of_the_shape(panels: Panels) -> None:
    """∫ exp(-(2u² + h²)/2) √2 du = √(2π) exp(-h²/2), with h = √2 log(ratio of axes) the distance of the shape.

    Of the samples only the spread of the sizes counts: ±3.5 standard deviations of it leave 5e-4 of the integral out.
    """
    size = torch.randn(4000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / math.sqrt(2)
    samples = size.exp()[:, None, None] * torch.eye(2, dtype=torch.float64)
    axes = panels(plot_spd(rm.SPD(2), normal, samples=samples, resolution=64))
    pixels = np.ma.asarray(axes["density"].images[0].get_array()).filled(np.nan)
    middle = pixels[len(pixels) // 2]
    x = (np.arange(len(middle)) + 0.5) * 2.0 / len(middle) - 1.0
    inside = np.abs(x) < 0.7
    ratio = (1 + np.abs(x[inside])) / (1 - np.abs(x[inside]))
    np.testing.assert_allclose(middle[inside], 0.5 * math.log(2 * math.pi) - np.log(ratio) ** 2, atol=0.03)


def test_the_cone_has_the_trace_upwards_and_every_matrix_inside() -> None:
    """On the screen the sides are the steepest lines from the tip that a singular matrix reaches."""
    angle = np.linspace(0.0, 2 * np.pi, 721)
    singular = 0.5 * np.stack(
        [np.stack([1 + np.cos(angle), np.sin(angle)], -1), np.stack([np.sin(angle), 1 - np.cos(angle)], -1)], -2
    )
    rim = cone_places(singular)
    assert rim[:, 1].max() > cone_places(0.5 * np.eye(2)[None])[0, 1] > rim[:, 1].min() > 0
    figure = plot_spd(rm.SPD(2), normal, samples=cloud(rm.SPD(2)), resolution=16)
    axes = next(axes for axes in figure.axes if axes.get_label() == "samples")
    sides = np.asarray(next(line for line in axes.lines if len(np.asarray(line.get_xydata())) == 3).get_xydata())
    slope = sides[2, 1] / sides[2, 0]
    assert (rim[:, 1] / np.abs(rim[:, 0])).min() == pytest.approx(slope, abs=1e-4)


def test_the_signs_on_the_rim_lie_along_their_matrices(panels: Panels) -> None:
    axes = panels(plot_spd(rm.SPD(2), normal, samples=cloud(rm.SPD(2)), resolution=16))["density"]
    signs: list[Any] = [patch for patch in axes.patches if isinstance(patch, Ellipse) and patch.get_width() < 0.5]
    assert len(signs) == 9
    for sign in signs[1:]:
        x, y = sign.get_center()
        assert math.cos(2 * math.radians(sign.get_angle()) - math.atan2(y, x)) == pytest.approx(1.0)


@pytest.mark.parametrize("metric", ["affine-invariant", "log-euclidean"])
def test_all_panels_are_there_and_no_text_lies_on_another(overlapping_texts: Overlaps, metric: Any) -> None:
    manifold = rm.SPD(2, metric=metric)
    figure = plot_spd(
        manifold, normal, points=cloud(manifold), samples=cloud(manifold, seed=1), title="T", resolution=16
    )
    assert [axes.get_label() for axes in figure.axes] == ["density", "colour bar", "data points", "samples"]
    assert overlapping_texts(figure) == []
    dots = next(c for c in figure.axes[2].collections if isinstance(c, PathCollection))
    np.testing.assert_allclose(np.asarray(dots.get_offsets()), cone_places(cloud(manifold).numpy()))


def test_a_matrix_far_away_does_not_shrink_the_rest(panels: Panels) -> None:
    samples = torch.cat([cloud(rm.SPD(2), 200), 1e4 * torch.eye(2, dtype=torch.float64)[None]])
    axes = panels(plot_spd(rm.SPD(2), normal, samples=samples, resolution=16))["samples"]
    assert axes.get_title() == "201 samples, 1 beyond the rim"


@pytest.mark.parametrize("scale", [1e-6, 1.0, 3.7, 1e5])
def test_the_levels_are_round_numbers(panels: Panels, scale: float) -> None:
    axes = panels(plot_spd(rm.SPD(2), lambda x: normal(x / scale), samples=scale * cloud(rm.SPD(2)), resolution=8))
    traces = [float(text.get_text().removeprefix("trace ")) for text in axes["samples"].texts]
    assert 2 <= len(traces) <= 4
    leading = traces[0] / 10.0 ** math.floor(math.log10(traces[0]) + 1e-9)
    assert leading == pytest.approx(min((1, 2, 2.5, 5), key=lambda digit: abs(digit - leading)))


def test_bad_arguments_are_named() -> None:
    with pytest.raises(rm.OptionError, match="of 2 × 2 matrices"):
        plot_spd(rm.SPD(3), normal, samples=cloud(rm.SPD(3)))
    with pytest.raises(rm.OptionError, match="give samples"):
        plot_spd(rm.SPD(2), normal, samples=torch.zeros(0, 2, 2))
    with pytest.raises(rm.PointError):
        plot_spd(rm.SPD(2), normal, samples=-torch.eye(2).expand(3, 2, 2))
