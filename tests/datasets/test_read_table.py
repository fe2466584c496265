"""Tables that can be read: separators, headers, comments, quotes, positions, .npy, Parquet, units."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmatch._errors import DependencyError
from rmatch.datasets import read_table
from rmatch.manifolds import Sphere, Torus

PLACES = [(10.0 + row, -100.5 + 20 * row) for row in range(12)]
VECTORS = np.random.default_rng(0).normal(size=(12, 3))
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)


def lines(rows: Any, separator: str = ",") -> str:
    return "".join(separator.join(str(cell) for cell in row) + "\n" for row in rows)


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write_text(text: str | bytes, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_text


def rows_of(path: Path, manifold: Any = "sphere", **options: Any) -> np.ndarray:
    data = read_table(path, manifold, **options)
    return data.to_table(data.points)


@pytest.mark.parametrize("separator", [",", ";", "\t", " ", "   ", ", ", " \t "])
@pytest.mark.parametrize("preamble", ["", "# a comment\n", "Title\n\nmade, by; hand\tin two words\n% note\n\n"])
def test_every_separator_with_every_preamble(write: Any, separator: str, preamble: str) -> None:
    path = write(preamble + lines([("lat", "lon"), *PLACES], separator))
    np.testing.assert_allclose(rows_of(path), PLACES, atol=1e-12)


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        ("lat", "lon"),
        ("lat", "long"),
        ("LATITUDE", "LONGITUDE"),
        ("Latitude", "Lng"),
        ("latitude_deg", "longitude_deg"),
        ("decimalLatitude", "decimalLongitude"),
        ("Latitude (deg)", "Longitude (deg)"),
        ("lat [degrees]", "lon [degrees]"),
        ("reclat", "reclong"),
        ("geo_lat", "geo_lon"),
        ("lat_n", "lon_e"),
    ],
)
def test_usual_names_of_latitude_and_longitude(write: Any, latitude: str, longitude: str) -> None:
    rows = [("id", longitude, "mag", latitude), *(("k", lon, 5.5, lat) for lat, lon in PLACES)]
    data = read_table(write(lines(rows)), "sphere")
    assert data.columns == (latitude, longitude)
    np.testing.assert_allclose(data.to_table(data.points), PLACES, atol=1e-12)
    assert (data.kind, data.unit, data.manifold, data.name) == ("latlon", "degrees", Sphere(2), "table")


def test_quotes_line_ends_and_marks(write: Any) -> None:
    text = '"name","lat","lon"\r\n' + "".join(f'"A, ""b""\r\nand c","{lat}", {lon}\r\n' for lat, lon in PLACES)
    np.testing.assert_allclose(rows_of(write(text)), PLACES, atol=1e-12)
    marked = write(b"\xef\xbb\xbf" + lines([("lat", "lon"), *PLACES]).encode())
    assert read_table(marked, "sphere").columns == ("lat", "lon")
    np.testing.assert_allclose(rows_of(write(text.encode("utf-16"))), PLACES, atol=1e-12)
    np.testing.assert_allclose(rows_of(write(text.replace("\r\n", "\r"))), PLACES, atol=1e-12)


def test_a_header_in_the_last_comment(write: Any) -> None:
    path = write("# written by savetxt\n# lat lon\n" + lines(PLACES, " "))
    assert read_table(path, "sphere").columns == ("lat", "lon")


def test_units_and_rules_below_the_header(write: Any) -> None:
    path = write("lat lon\n(deg) (deg)\n----- -----\n" + lines(PLACES, " "))
    np.testing.assert_allclose(rows_of(path), PLACES, atol=1e-12)


def test_a_rule_above_the_header_is_no_header(write: Any) -> None:
    path = write("---- ----\nhead tail\n---- ----\n" + lines(PLACES, " "))
    assert read_table(path, "torus").columns == ("head", "tail")


def test_comments_among_the_rows(write: Any) -> None:
    path = write("lat,lon\n" + lines(PLACES[:6]) + "# one,2\n % 3,four\n" + lines(PLACES[6:]))
    np.testing.assert_allclose(rows_of(path), PLACES, atol=1e-12)


def test_blanks_before_a_quotation_mark(write: Any) -> None:
    path = write("place, lat, lon\n" + "".join(f'a, "{lat}", "{lon}"\n' for lat, lon in PLACES))
    np.testing.assert_allclose(rows_of(path), PLACES, atol=1e-12)


def test_names_that_differ_in_case_only(write: Any) -> None:
    path = write(lines([("phi", "Phi"), *PLACES]))
    assert read_table(path, "torus", columns="Phi").columns == ("Phi",)
    assert read_table(write(lines([("a", "Phi"), *PLACES])), "torus", columns="PHI").columns == ("Phi",)


def test_a_title_as_wide_as_the_table(write: Any) -> None:
    path = write("Earthquakes, all of them\nlat,lon\n" + lines(PLACES))
    np.testing.assert_allclose(rows_of(path), PLACES, atol=1e-12)


def test_row_names_without_a_header_of_their_own(write: Any) -> None:
    path = write('"lat" "lon"\n' + "".join(f'"row {i}" {lat} {lon}\n' for i, (lat, lon) in enumerate(PLACES)))
    np.testing.assert_allclose(rows_of(path), PLACES, atol=1e-12)


def test_blank_rows_are_no_rows(write: Any) -> None:
    path = write("lat,lon\n" + lines(PLACES) + ",\n\n , \n")
    np.testing.assert_allclose(rows_of(path), PLACES, atol=1e-12)


def test_text_with_other_separators_in_it(write: Any) -> None:
    comma = write(lines([("place", "lat", "lon"), *(("Paris; France 1 2", *row) for row in PLACES)]))
    np.testing.assert_allclose(rows_of(comma), PLACES, atol=1e-12)
    tab = write(lines([("place", "lat", "lon"), *(("x 1 2 3", *row) for row in PLACES)], "\t"))
    np.testing.assert_allclose(rows_of(tab), PLACES, atol=1e-12)


def test_angles_without_a_header_after_text_columns(write: Any) -> None:
    angles = np.random.default_rng(1).uniform(-180, 180, (12, 7)).round(6)
    rows = [(f"{index}e{index}x", "G", *row) for index, row in enumerate(angles.tolist())]
    path = write(lines(rows, "\t"), "angles.tsv")
    data = read_table(path, "torus")
    assert data.manifold == Torus(7)
    assert data.columns == tuple(f"column_{index}" for index in range(3, 10))
    assert (data.kind, data.unit) == ("angles", "degrees")
    np.testing.assert_allclose(data.to_table(data.points), angles, atol=1e-12)
    two = read_table(path, Torus(2), columns=("9", "column_3"))
    assert two.columns == ("column_9", "column_3")
    np.testing.assert_allclose(two.to_table(two.points), angles[:, [6, 0]], atol=1e-12)


def test_a_column_that_counts_the_rows_is_no_angle(write: Any) -> None:
    for start in (0, 1):
        rows = [("", "phi", "psi"), *((index + start, *row) for index, row in enumerate(PLACES))]
        assert read_table(write(lines(rows)), "torus").columns == ("phi", "psi")


def test_a_column_of_text_is_passed_over_but_can_be_asked_for(write: Any) -> None:
    path = write(lines([("phi", "note"), *((row[0], "NULL") for row in PLACES)]))
    assert read_table(path, "torus").columns == ("phi",)


def test_one_column_is_a_circle(write: Any) -> None:
    path = write("angle\n" + lines((row[1],) for row in PLACES))
    data = read_table(path, "torus")
    assert data.manifold == Torus(1)
    np.testing.assert_allclose(np.cos(np.radians(data.to_table(data.points)[:, 0] - np.array(PLACES)[:, 1])), 1)


@pytest.mark.parametrize("names", [("x", "y", "z"), ("X", "Y", "Z"), None])
def test_vectors(write: Any, names: Any) -> None:
    data = read_table(write(lines([*([names] if names else []), *VECTORS.tolist()])), "sphere")
    assert (data.kind, data.unit, data.manifold) == ("xyz", None, Sphere(2))
    np.testing.assert_allclose(data.points.numpy(), VECTORS, atol=1e-15)
    np.testing.assert_allclose(data.to_table(data.points), VECTORS, atol=1e-15)


def test_vectors_are_taken_by_name_in_any_order(write: Any) -> None:
    data = read_table(
        write(lines([("z", "id", "y", "x"), *((z, "a", y, x) for x, y, z in VECTORS.tolist())])), "sphere"
    )
    np.testing.assert_allclose(data.points.numpy(), VECTORS, atol=1e-15)


def test_vectors_on_a_sphere_of_another_dimension(write: Any) -> None:
    rows = np.random.default_rng(2).normal(size=(12, 5))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    data = read_table(write(lines(rows.tolist())), Sphere(4))
    assert data.manifold == Sphere(4)
    np.testing.assert_allclose(data.points.numpy(), rows, atol=1e-15)


def test_the_tolerance_of_five_printed_decimals(write: Any) -> None:
    data = read_table(write(lines([("x", "y", "z"), *VECTORS.round(5).tolist()])), "sphere")
    np.testing.assert_allclose(np.linalg.norm(data.points.numpy(), axis=1), 1, atol=1e-15)


@pytest.mark.parametrize(
    ("header", "columns", "swapped"),
    [
        (("a", "b"), "a,b", False),
        (("a", "b"), ["b", "a"], True),
        (("a", "b"), "1,2", False),
        (("a", "b"), (" 2 ", "1"), True),
        (("lat", "b"), "lat,b", False),
        (("lat", "b"), "b,lat", False),
        (("a", "lon"), "lon,a", False),
        (("A", "Lon"), "lon,a", False),
        (("y", "x"), "x,y", False),
        (None, "1,2", False),
        (None, "column_2,column_1", True),
    ],
)
def test_chosen_columns(write: Any, header: Any, columns: Any, swapped: bool) -> None:
    # the same numbers are valid both ways round
    rows = [(row, row / 2 - 40) for row in range(12)]
    path = write(lines([*([header] if header else []), *rows]))
    expected = [row[::-1] for row in rows] if swapped else rows
    np.testing.assert_allclose(rows_of(path, columns=columns), expected, atol=1e-12)


def test_a_name_goes_before_a_position(tmp_path: Path) -> None:
    pl.DataFrame(PLACES, schema=["2", "a"], orient="row").write_parquet(tmp_path / "odd.parquet")
    np.testing.assert_allclose(rows_of(tmp_path / "odd.parquet", "torus", columns="2")[:, 0], np.array(PLACES)[:, 0])
    assert read_table(tmp_path / "odd.parquet", "torus", columns="1").columns == ("2",)


def test_names_that_repeat_are_told_apart_by_position(write: Any) -> None:
    path = write(lines([("phi", "phi"), *PLACES]))
    assert read_table(path, "torus").columns == ("column_1", "column_2")
    assert read_table(path, "torus", columns="2").columns == ("phi",)


@pytest.mark.parametrize(
    ("rows", "unit", "expected"),
    [
        ([[0.1, 6.28], [-3, 3]], None, "radians"),
        ([[0.1, 6.29], [-3, 3]], None, "degrees"),
        ([[0.1, 6.28], [-3, 3]], "degrees", "degrees"),
    ],
)
def test_the_unit_of_torus_angles(write: Any, rows: Any, unit: Any, expected: str) -> None:
    path = write(lines([("phi", "psi"), *rows]))
    data = read_table(path, "torus", unit=unit, minimum_rows=2)
    assert data.unit == expected
    np.testing.assert_allclose(np.cos(data.to_table(data.points) - rows), 1, atol=1e-12)


def test_radians_on_the_sphere(write: Any) -> None:
    rows = np.radians(PLACES).tolist()
    data = read_table(write(lines([("lat", "lon"), *rows])), "sphere", unit="radians")
    assert data.unit == "radians"
    np.testing.assert_allclose(data.to_table(data.points)[:, 0], np.array(rows)[:, 0], atol=1e-15)
    assert float(data.points[0, 2]) == pytest.approx(math.sin(math.radians(10)), abs=1e-16)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, ">f8", np.int64])
def test_arrays(tmp_path: Path, dtype: Any) -> None:
    angles = np.arange(36).reshape(12, 3) ** 2 % 360
    np.save(tmp_path / "angles.npy", angles.astype(dtype))
    data = read_table(tmp_path / "angles.npy", "torus")
    assert data.manifold == Torus(3)
    np.testing.assert_allclose(data.to_table(data.points), angles, atol=1e-12)


def test_arrays_of_vectors_and_of_chosen_columns(tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", np.asfortranarray(VECTORS))
    np.testing.assert_allclose(read_table(tmp_path / "vectors.npy", "sphere").points.numpy(), VECTORS, atol=1e-15)
    np.save(tmp_path / "places.npy", PLACES)
    np.testing.assert_allclose(rows_of(tmp_path / "places.npy", columns="1,2"), PLACES, atol=1e-12)


def test_parquet(tmp_path: Path) -> None:
    frame = pl.DataFrame(PLACES, schema=["Latitude", "Longitude"], orient="row").with_columns(name=pl.lit("x"))
    frame.write_parquet(tmp_path / "places.parquet")
    np.testing.assert_allclose(rows_of(tmp_path / "places.parquet"), PLACES, atol=1e-12)
    frame.cast({"Latitude": pl.Int32, "Longitude": pl.Float32}).write_parquet(tmp_path / "places.dat")
    np.testing.assert_allclose(rows_of(tmp_path / "places.dat"), PLACES, atol=1e-12)
    assert read_table(tmp_path / "places.parquet", "torus").columns == ("Latitude", "Longitude")


def test_parquet_without_polars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pl.DataFrame(PLACES, orient="row").write_parquet(tmp_path / "places.parquet")
    monkeypatch.setitem(__import__("sys").modules, "polars", None)
    with pytest.raises(DependencyError) as caught:
        read_table(tmp_path / "places.parquet", "torus")
    assert str(caught.value).endswith('needs polars: pip install "rmatch[table]"')


def test_one_row_may_be_evaluated(write: Any) -> None:
    path = write("lat,lon\n12,34\n")
    assert len(read_table(path, "sphere", minimum_rows=1)) == 1


def test_a_table_written_by_to_table_is_read_back(write: Any) -> None:
    data = read_table(write(lines([("chi", "phi"), *((300 + lat, lon) for lat, lon in PLACES)])), "torus")
    again = read_table(
        write(lines([data.columns, *data.to_table(data.points).tolist()]), "again.csv"),
        data.manifold,
        columns=data.columns,
        unit=data.unit,
    )
    assert again.coordinates == data.coordinates
    np.testing.assert_allclose(again.points.numpy(), data.points.numpy(), atol=1e-14)


@given(
    rows=st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=10, max_size=20, unique=True),
    separator=st.sampled_from([",", ";", "\t", " "]),
    header=st.booleans(),
)
def test_numbers_written_with_all_digits_come_back(rows: Any, separator: str, header: bool) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.txt"
        path.write_text(lines([*([("a", "b")] if header else []), *rows], separator))
        data = read_table(path, "torus", columns="1,2", unit="degrees", minimum_rows=1)
        back = data.to_table(data.points)
    assert np.abs(np.remainder(back - np.array(rows) + 180, 360) - 180).max() < 1e-12
