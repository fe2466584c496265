"""The two map projections against closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmatch.plotting.coastlines import coastlines
from rmatch.plotting.projections import (
    mollweide,
    mollweide_inverse,
    mollweide_lines,
    orthographic,
    orthographic_inverse,
    orthographic_lines,
    to_longitude_latitude,
    to_unit_vectors,
    view_frame,
)

LONGITUDES = st.floats(-180.0, 180.0)
LATITUDES = st.floats(-90.0, 90.0)
CENTRES = [(0.0, 0.0), (41.0, -92.0), (-33.9, 18.4), (0.0, 180.0), (89.999, 10.0), (90.0, 0.0), (-90.0, 0.0)]


@given(LONGITUDES, LATITUDES)
def test_unit_vectors_are_inverse_to_longitude_and_latitude(longitude: float, latitude: float) -> None:
    point = to_unit_vectors(longitude, latitude)
    assert np.allclose(to_unit_vectors(*to_longitude_latitude(point)), point, atol=1e-15, rtol=0.0)


@given(LONGITUDES, LATITUDES)
def test_mollweide_satisfies_its_equation(longitude: float, latitude: float) -> None:
    """2θ + sin 2θ = π sin φ with sin θ = y/√2, and the meridian at λ is an ellipse with half axis (2√2/π)|λ|."""
    x, y = mollweide(longitude, latitude)
    theta = np.arcsin(np.clip(y / np.sqrt(2.0), -1.0, 1.0))
    # near a pole arcsin turns y's rounding error into 1e-8 of θ, which the equation's double root brings down again
    assert 2.0 * theta + np.sin(2.0 * theta) == pytest.approx(np.pi * np.sin(np.radians(latitude)), abs=1e-10)
    axis = 2.0 * np.sqrt(2.0) / 180.0 * longitude
    assert x == pytest.approx(axis * np.sqrt(max(0.0, 1.0 - y * y / 2.0)), abs=1e-7)


def test_mollweide_where_its_equation_has_a_closed_form() -> None:
    """θ = 30°: sin φ = 1/3 + √3/2π, half way up; θ = 45°: sin φ = 1/2 + 1/π; θ = 90°: the pole, at the top."""
    for sine, height in [
        (1.0 / 3.0 + np.sqrt(3.0) / (2.0 * np.pi), 0.5),
        (0.5 + 1.0 / np.pi, np.sqrt(0.5)),
        (1.0, 1.0),
    ]:
        for sign in (-1.0, 1.0):
            _, y = mollweide(0.0, sign * np.degrees(np.arcsin(sine)))
            assert y == pytest.approx(sign * height * np.sqrt(2.0), abs=1e-12)
    assert mollweide(180.0, 0.0)[0] == pytest.approx(2.0 * mollweide(0.0, 90.0)[1])


@given(st.floats(-179.0, 179.0), st.floats(-89.0, 89.0))
def test_mollweide_inverse_is_inverse(longitude: float, latitude: float) -> None:
    assert mollweide_inverse(*mollweide(longitude, latitude)) == pytest.approx((longitude, latitude), abs=1e-7)


@given(st.floats(-170.0, 170.0), st.floats(-85.0, 85.0))
def test_mollweide_keeps_areas(longitude: float, latitude: float) -> None:
    """The Jacobian determinant against dλ dφ is cos φ."""
    h = 1e-4
    x, y = mollweide(
        [longitude + h, longitude - h, longitude, longitude], [latitude, latitude, latitude + h, latitude - h]
    )
    determinant = (x[0] - x[1]) * (y[2] - y[3]) - (x[2] - x[3]) * (y[0] - y[1])
    assert determinant / np.radians(2.0 * h) ** 2 == pytest.approx(np.cos(np.radians(latitude)), rel=1e-5)


def test_nothing_lies_outside_the_maps() -> None:
    assert np.isnan(mollweide_inverse([2.9, 2.5, 0.0], [0.0, 1.0, 1.5])).all()
    assert np.isnan(orthographic_inverse([1.0, 0.8], [0.1, 0.7], [0.0, 0.0, 1.0])).all()


@pytest.mark.parametrize("centre", CENTRES)
def test_the_view_is_a_rotation_with_north_up(centre: tuple[float, float]) -> None:
    frame = view_frame(to_unit_vectors(centre[1], centre[0]))
    assert np.allclose(frame @ frame.T, np.eye(3), atol=1e-15)
    assert np.linalg.det(frame) == pytest.approx(1.0)
    assert frame[0, 2] == 0.0
    assert frame[1, 2] >= 0.0


@pytest.mark.parametrize("centre", CENTRES)
def test_orthographic_has_its_closed_form(centre: tuple[float, float]) -> None:
    """Snyder, equations 20-3 to 20-5, in angles; and a point a quarter turn away lies on the limb."""
    latitudes, longitudes = np.meshgrid(np.linspace(-90.0, 90.0, 13), np.linspace(-180.0, 180.0, 25))
    phi, phi_1, turn = np.radians(latitudes), np.radians(centre[0]), np.radians(longitudes - centre[1])
    x, y, depth = orthographic(to_unit_vectors(longitudes, latitudes), to_unit_vectors(centre[1], centre[0]))
    if abs(centre[0]) < 90.0:  # at a pole the formula's east is a matter of rounding
        assert np.allclose(x, np.cos(phi) * np.sin(turn), atol=1e-14)
        assert np.allclose(y, np.cos(phi_1) * np.sin(phi) - np.sin(phi_1) * np.cos(phi) * np.cos(turn), atol=1e-14)
    assert np.allclose(depth, np.sin(phi_1) * np.sin(phi) + np.cos(phi_1) * np.cos(phi) * np.cos(turn), atol=1e-14)

    bearing = np.linspace(0.0, 2.0 * np.pi, 9)[:, None]
    frame = view_frame(to_unit_vectors(centre[1], centre[0]))
    x, y, depth = orthographic(np.cos(bearing) * frame[0] + np.sin(bearing) * frame[1], frame[2])
    assert np.allclose(np.hypot(x, y), 1.0, atol=1e-15)
    assert np.allclose(depth, 0.0, atol=1e-15)


@pytest.mark.parametrize("centre", CENTRES)
def test_orthographic_inverse_is_inverse(centre: tuple[float, float]) -> None:
    towards = to_unit_vectors(centre[1], centre[0])
    x, y = np.meshgrid(np.linspace(-0.65, 0.65, 9), np.linspace(-0.65, 0.65, 9))
    again_x, again_y, depth = orthographic(to_unit_vectors(*orthographic_inverse(x, y, towards)), towards)
    assert np.allclose([again_x, again_y], [x, y], atol=1e-14)
    assert (depth > 0.0).all()


def test_a_line_is_cut_where_it_passes_the_limb() -> None:
    """Along a parallel around the equatorial view, the limb is at ±90° of longitude, there and back."""
    longitudes = np.linspace(0.0, 360.0, 73) - 2.0
    (first, second) = orthographic_lines(np.stack([longitudes, np.full(73, 20.0)], axis=-1), [1.0, 0.0, 0.0])
    assert np.hypot(*first[-1]) == pytest.approx(1.0, abs=1e-15)
    assert np.hypot(*second[0]) == pytest.approx(1.0, abs=1e-15)
    # the great circle between two vertices 5 degrees apart lies just north of the parallel
    assert first[-1, 1] == pytest.approx(np.sin(np.radians(20.0)), abs=4e-4)
    assert first[-1, 0] > 0.0 > second[0, 0]


def test_a_hidden_line_is_dropped() -> None:
    line = np.array([[100.0, 0.0], [180.0, 10.0], [-100.0, 0.0]])
    assert orthographic_lines(line, [1.0, 0.0, 0.0]) == []


@pytest.mark.parametrize("centre", CENTRES)
def test_what_is_seen_from_both_sides_makes_up_the_coastlines(centre: tuple[float, float]) -> None:
    """No piece of coast is lost or drawn twice: chords on the front and on the back add up to those of the whole."""
    towards = to_unit_vectors(centre[1], centre[0])
    shown = 0.0
    for side in (towards, -towards):
        for line in coastlines():
            for piece in orthographic_lines(line, side):
                assert np.hypot(piece[:, 0], piece[:, 1]).max() <= 1.0 + 1e-12
                depth = np.sqrt(np.maximum(0.0, 1.0 - piece[:, 0] ** 2 - piece[:, 1] ** 2))
                shown += np.linalg.norm(np.diff(np.column_stack([piece, depth]), axis=0), axis=1).sum()
    whole = sum(np.linalg.norm(np.diff(to_unit_vectors(*line.T), axis=0), axis=1).sum() for line in coastlines())
    # a cut replaces a chord by two shorter ones on the arc; and the limb's depth is known to 1e-8 only
    assert shown == pytest.approx(whole, rel=1e-4)


def test_no_line_runs_across_the_mollweide_map() -> None:
    for line in coastlines():
        for piece in mollweide_lines(line):
            assert np.abs(np.diff(piece[:, 0])).max() < 0.25


def test_a_line_over_the_date_line_reaches_both_edges_at_the_same_latitude() -> None:
    left, right = mollweide_lines(np.array([[170.0, 10.0], [-170.0, 30.0]]))
    assert left[-1] == pytest.approx(np.array(mollweide(180.0, 20.0)))
    assert right[0] == pytest.approx(np.array(mollweide(-180.0, 20.0)))


def test_a_line_that_starts_on_the_date_line_is_not_stretched_over_the_map() -> None:
    pieces = mollweide_lines(np.array([[-180.0, 10.0], [170.0, 20.0], [160.0, 20.0]]))
    assert max(float(np.ptp(piece[:, 0])) for piece in pieces) < 0.5
