"""Tables of points on products: the columns of the factors side by side."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

import rmatch as rm
from rmatch.datasets import Angles, FactorColumns, LatitudeLongitude, coordinates_from_dict, read_table

RNG = np.random.default_rng(0)
PLACES = np.stack([RNG.uniform(-80, 80, 12), RNG.uniform(-170, 170, 12)], axis=1)
ANGLES = RNG.uniform(0, 360, (12, 1))


def csv(path: Path, header: str, *blocks: Any) -> Path:
    rows = np.concatenate([np.asarray(block, float) for block in blocks], axis=1)
    path.write_text(header + "\n" + "".join(",".join(map(repr, row)) + "\n" for row in rows.tolist()))
    return path


def error_of(path: Path, manifold: Any, **options: Any) -> str:
    with pytest.raises(rm.RmatchError) as caught:
        read_table(path, manifold, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_each_factor_reads_its_own_columns(tmp_path: Path) -> None:
    path = csv(tmp_path / "t.csv", "lat,lon,wind", PLACES, ANGLES)
    data = read_table(path, "product:sphere2,torus1")
    assert data.manifold == rm.Product(rm.Sphere(2), rm.Torus(1))
    place, wind = rm.Product(rm.Sphere(2), rm.Torus(1)).split(data.points)
    torch.testing.assert_close(place, LatitudeLongitude(rm.Sphere(2), ("lat", "lon"), "degrees").to_points(PLACES))
    torch.testing.assert_close(wind, torch.from_numpy(np.radians(ANGLES)))
    assert (data.kind, data.unit, data.coordinates.nonnegative) == ("product", "degrees", (False, False, True))
    np.testing.assert_allclose(data.to_table(data.points), np.concatenate([PLACES, ANGLES], 1), atol=1e-12)
    assert data.coordinates.formats == (".6f",) * 3


def test_names_tell_the_latitude_from_the_longitude_also_within_a_product(tmp_path: Path) -> None:
    path = csv(tmp_path / "t.csv", "wind,longitude,latitude", ANGLES, PLACES[:, ::-1])
    data = read_table(path, "product:torus1,sphere2")
    assert data.columns == ("wind", "latitude", "longitude")
    np.testing.assert_allclose(data.to_table(data.points)[:, 1:], PLACES, atol=1e-12)


def test_spd_and_rotations_within_a_product(tmp_path: Path) -> None:
    rotations = Rotation.random(12, rng=np.random.default_rng(0))
    triangles = np.stack([RNG.uniform(2, 3, 12), RNG.uniform(-1, 1, 12), RNG.uniform(2, 3, 12)], axis=1)
    path = csv(tmp_path / "t.csv", "qx,qy,qz,qw,a,b,c", rotations.as_quat(), triangles)
    data = read_table(path, "product:so3,spd2")
    turn, matrix = rm.Product(rm.SpecialOrthogonal(3), rm.SPD(2)).split(data.points)
    np.testing.assert_allclose(turn.numpy(), rotations.as_matrix(), atol=1e-14)
    np.testing.assert_allclose(matrix[:, 0, 1].numpy(), triangles[:, 1])
    assert data.columns == ("qw", "qx", "qy", "qz", "a", "b", "c")


def test_columns_that_do_not_match(tmp_path: Path) -> None:
    path = csv(tmp_path / "t.csv", "a,b,c,d,e", PLACES, ANGLES, ANGLES, ANGLES)
    text = error_of(path, "product:sphere2,torus1")
    assert (
        "product:sphere,torus:1 takes columns side by side: 2 (latlon) or 3 (xyz) for sphere; 1 (angles) for torus:1; "
        "but these are 5: a, b, c, d, e; choose them with columns" in text
    )
    assert "say the size of each factor of 'product:sphere,torus', for example torus2" in error_of(
        path, "product:sphere,torus"
    )


def test_columns_that_match_in_two_ways(tmp_path: Path) -> None:
    rotations = Rotation.random(12, rng=np.random.default_rng(0))
    unit = rotations.as_matrix()[:, :, 0]
    path = csv(tmp_path / "t.csv", "a,b,c,d,e,f", unit, rotations.as_rotvec())
    text = error_of(path, "product:sphere2,so3")
    assert "6 columns can be read as product:sphere,so3 in 2 ways" in text
    assert "for example sphere2:xyz or so3:quaternion" in text
    data = read_table(path, "product:sphere2:xyz,so3")
    assert [part["kind"] for part in data.coordinates.to_dict()["parts"]] == ["xyz", "axis-angle"]
    named = csv(tmp_path / "t.csv", "lat,lon,qw,qx,qy,qz", PLACES, rotations.as_quat()[:, [3, 0, 1, 2]])
    parts = read_table(named, "product:sphere2,so3").coordinates.to_dict()["parts"]
    assert [part["kind"] for part in parts] == ["latlon", "quaternion"]


def test_a_bad_row_is_told_with_its_column(tmp_path: Path) -> None:
    places = PLACES.copy()
    places[5, 1] = 400
    text = error_of(csv(tmp_path / "t.csv", "wind,lat,lon", ANGLES, places), "product:torus1,sphere2")
    assert "line 7, column 'lon': longitude 400 is outside [-180, 360] degrees" in text
    ball = RNG.uniform(-0.5, 0.5, (12, 2))
    ball[3, 0], ball[8, 0] = 1.5, 1.7
    text = error_of(csv(tmp_path / "t.csv", "wind,a,b", ANGLES, ball), "product:torus1,poincare2")
    assert "line 5, column 'a': the point's length is" in text


def test_of_two_bad_rows_the_first_is_told(tmp_path: Path) -> None:
    places, angles = PLACES.copy(), ANGLES.copy()
    places[7, 0], angles[4, 0] = 99.0, 999.0
    text = error_of(csv(tmp_path / "t.csv", "lat,lon,wind", places, angles), "product:sphere2,torus1")
    assert "line 6, column 'wind': angle 999 is outside" in text


def test_a_unit_in_the_name_is_not_guessed(tmp_path: Path) -> None:
    path = csv(tmp_path / "t.csv", "lat,lon,wind", PLACES, ANGLES / 100)
    data = read_table(path, "product:sphere2:degrees,torus1:degrees")
    np.testing.assert_allclose(data.points[:, 3:].numpy(), np.radians(ANGLES / 100))


def test_a_period_is_read_in_its_own_unit(tmp_path: Path) -> None:
    hours = RNG.uniform(0, 24, (12, 1))
    data = read_table(csv(tmp_path / "t.csv", "hour", hours), "torus:period=24")
    assert (data.manifold, data.unit) == (rm.Torus(1, periods=24.0), None)
    np.testing.assert_allclose(data.points.numpy(), hours)
    np.testing.assert_allclose(data.to_table(data.points), hours)
    hours[4] = 25
    assert "column 'hour': value 25 is outside [-24, 24], one period 24 on either side of 0" in error_of(
        csv(tmp_path / "t.csv", "hour", hours), "torus:period=24"
    )


def test_mixed_units_are_read_again_from_the_stored_description(tmp_path: Path) -> None:
    path = csv(tmp_path / "t.csv", "lat,lon,wind", PLACES, np.radians(ANGLES))
    data = read_table(path, "product:sphere2:degrees,torus1:radians")
    assert data.unit is None
    stored = coordinates_from_dict(json.loads(json.dumps(data.coordinates.to_dict())))
    assert stored == data.coordinates
    assert str(stored.spec) == "product:sphere:latlon:degrees,torus:1:angles:radians"
    short = csv(tmp_path / "s.csv", "lat,lon,wind", PLACES[:1] / 100, np.radians(ANGLES[:1]))
    again = read_table(short, stored.spec, minimum_rows=1)
    np.testing.assert_allclose(again.to_table(again.points)[0, :2], PLACES[0] / 100)
    with pytest.raises(rm.OptionError, match="unknown unit 'hours'"):
        read_table(path, "product:sphere2,torus1", unit="hours")


def test_a_sphere_of_another_radius(tmp_path: Path) -> None:
    path = csv(tmp_path / "t.csv", "lat,lon", PLACES)
    data = read_table(path, "sphere:radius=6371")
    torch.testing.assert_close(data.points.norm(dim=1), torch.full((12,), 6371.0, dtype=torch.float64))
    np.testing.assert_allclose(data.to_table(data.points), PLACES, atol=1e-12)
    vectors = csv(tmp_path / "v.csv", "x,y,z", data.points)
    assert read_table(vectors, "sphere:radius=6371").manifold == rm.Sphere(2, radius=6371.0)
    assert "the point's length is 6371, off the unit sphere by 6.37e+03" in error_of(vectors, "sphere")
    assert "off the sphere of radius 6000 by 371" in error_of(vectors, "sphere:radius=6000")


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(rm.OptionError, match=r"build it with FactorColumns\.of"):
        FactorColumns(rm.Product(rm.Torus(1), rm.Torus(1)), ("a", "b"))
    with pytest.raises(rm.DataError, match="parts None, expected a list"):
        coordinates_from_dict({"kind": "product"})
    with pytest.raises(rm.OptionError, match="have 2 columns, got 1"):
        Angles(rm.Torus(2), ("a",), "degrees")
    with pytest.raises(rm.OptionError, match=r"angles coordinates are not for Sphere\(2\)"):
        Angles(rm.Sphere(2), ("a", "b"), "degrees")
