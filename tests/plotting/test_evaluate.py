"""The grid, the interpolation on it, and what is refused."""

import numpy as np
import pytest
import torch
from torch import Tensor

from rmatch import InputError, OptionError, PointError, ShapeError
from rmatch.plotting._evaluate import CHUNK, SphereImage, as_points, evaluate, torus_image
from rmatch.plotting.projections import to_unit_vectors


def harmonic(x: Tensor) -> Tensor:
    return 1.5 * x[:, 2] + 1.5 * x[:, 0] * x[:, 1] - 0.5 * x[:, 0]


def test_the_density_is_evaluated_in_chunks_without_gradients() -> None:
    weight = torch.ones(3, requires_grad=True)
    sizes: list[int] = []

    def log_density(x: Tensor) -> Tensor:
        sizes.append(len(x))
        assert not torch.is_grad_enabled()
        assert x.dtype == torch.get_default_dtype()
        return x @ weight

    points = np.random.default_rng(0).normal(size=(2 * CHUNK + 5, 3))
    assert evaluate(log_density, points) == pytest.approx(points.sum(axis=1), abs=1e-5)
    assert sizes == [CHUNK, CHUNK, 5]


@pytest.mark.parametrize(
    "place",
    [
        (0.0, 0.0),
        (180.0, 0.0),
        (-180.0, 40.0),
        (179.7, -63.0),
        (-179.7, 10.0),
        (30.0, 90.0),
        (-100.0, -90.0),
        (77.0, 89.6),
    ],
)
def test_the_sphere_is_interpolated_across_the_date_line_and_the_poles(place: tuple[float, float]) -> None:
    """The spline's error on 2.8 degree nodes is below 1e-4 for a function of degree 2 of size 1."""
    image = SphereImage(harmonic, 64)
    longitude, latitude = np.array([place[0]]), np.array([place[1]])
    expected = harmonic(torch.from_numpy(to_unit_vectors(longitude, latitude))).numpy()
    assert image(longitude, latitude) == pytest.approx(expected, abs=1e-4)


def test_nodes_are_spread_evenly() -> None:
    """A cap of area a holds about a/4π of the nodes, at the pole as at the equator."""
    nodes = SphereImage(harmonic, 64).nodes
    for centre in np.eye(3):
        assert np.mean(nodes @ centre > np.cos(0.5)) == pytest.approx((1.0 - np.cos(0.5)) / 2.0, rel=0.05)


def test_values_are_cut_to_the_shown_range_also_where_the_density_is_zero() -> None:
    image = SphereImage(lambda x: torch.where(x[:, 2] > 0.0, 2.0 + x[:, 2] * 0.0, -torch.inf), 32)
    assert image.range == (-5.0, 2.0)
    assert image(np.array([0.0, 0.0]), np.array([60.0, -60.0])).tolist() == [2.0, -5.0]
    assert np.isnan(image(np.array([np.nan]), np.array([np.nan]))).all()


def test_a_flat_density_gets_a_range_to_be_read_from() -> None:
    assert SphereImage(lambda x: x[:, 0] * 0.0 - 2.5, 8).range == (-3.5, -2.5)


@pytest.mark.parametrize("pole", [(10.0, 20.0), (-60.0, -150.0), (85.0, 0.0)])
def test_the_globe_faces_the_density(pole: tuple[float, float]) -> None:
    """Two modes: the view is on the heavier one, to within the 7 degrees between the 1000 directions tried."""
    mode = to_unit_vectors(pole[1], pole[0])
    centre = torch.tensor(mode, dtype=torch.float32)
    seen = SphereImage(lambda x: torch.logaddexp(30.0 * (x @ centre), 29.0 - 30.0 * (x @ centre) - 29.7), 64).densest()
    assert np.degrees(np.arccos(seen @ mode)) < 7.0


def test_the_torus_is_interpolated_across_its_edges_with_the_first_angle_to_the_right() -> None:
    image, (low, high) = torus_image(lambda x: x[:, 0].cos() + 0.5 * x[:, 1].sin(), 48, 100)
    centres = np.radians((np.arange(100) + 0.5) * 3.6 - 180.0)
    expected = np.cos(centres)[None, :] + 0.5 * np.sin(centres)[:, None]
    assert image == pytest.approx(np.clip(expected, low, high), abs=1e-4)
    assert low == pytest.approx(-1.5, abs=0.01)
    assert high == pytest.approx(1.5, abs=0.01)


def test_angles_are_handed_over_in_0_to_2_pi() -> None:
    def log_density(x: Tensor) -> Tensor:
        assert ((x >= 0.0) & (x < 2.0 * torch.pi)).all()
        return x[:, 0] * 0.0

    torus_image(log_density, 16, 32)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_value_that_cannot_be_drawn_is_named_with_its_place(value: float) -> None:
    with pytest.raises(InputError, match=r"at 1 of 3 points .* \[4.0, 5.0\]"):
        evaluate(lambda x: torch.where(x[:, 0] == 4.0, value, 0.0), np.array([[2.0, 3.0], [4.0, 5.0], [6.0, 7.0]]))


def test_a_density_that_is_zero_everywhere_is_refused() -> None:
    with pytest.raises(InputError, match="nothing to draw"):
        evaluate(lambda x: x[:, 0] - torch.inf, np.ones((4, 2)))


def test_a_column_of_values_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(4, 1\)"):
        evaluate(lambda x: x[:, :1], np.ones((4, 2)))


def test_too_coarse_a_grid_is_refused() -> None:
    with pytest.raises(OptionError, match="resolution is 7"):
        SphereImage(harmonic, 7)
    with pytest.raises(OptionError, match="resolution is 0"):
        torus_image(harmonic, 0, 10)


def test_points_of_the_wrong_shape_or_not_finite_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"points has shape \(5, 2\)"):
        as_points(torch.zeros(5, 2), 3, "points")
    with pytest.raises(PointError, match="samples row 1 is"):
        as_points(torch.tensor([[1.0], [torch.nan]]), 1, "samples")
