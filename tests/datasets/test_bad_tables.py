"""Every bad table gets one clear line: what is wrong, in which file, on which line, in which column, what to do."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rmatch._errors import DataError, OptionError, RmatchError
from rmatch.datasets import read_table
from rmatch.manifolds import Euclidean, Sphere, Torus

GOOD = [(10.0 + row, -100.5 + 20 * row) for row in range(12)]
CHOOSE = "choose them with columns (--columns), names or positions counted from 1"
CHOICES = "there are: sphere, torus, poincare, lorentz, spd, so3, euclidean, product:sphere2,torus1 and the like"


class Klein(Euclidean):
    """A manifold of a user's own."""


def table(*rows: str, header: str = "lat,lon") -> str:
    """A table of twelve good rows on lines 2 to 13, and then the given ones."""
    return "\n".join([header, *(f"{a},{b}" for a, b in GOOD), *rows]) + "\n"


def npy(array: Any, cut: int = 0) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()[: -cut or None]


def error_of(path: Any, manifold: Any = "sphere", **options: Any) -> RmatchError:
    with pytest.raises(RmatchError) as caught:
        read_table(path, manifold, **options)
    assert "\n" not in str(caught.value)
    return caught.value


def expect(folder: Path, content: str | bytes, text: str, manifold: Any = "sphere", **options: Any) -> None:
    """The table is refused with a DataError that says `text`, where FILE is its path."""
    path = folder / options.pop("name", "t.csv")
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    error = error_of(path, manifold, **options)
    assert isinstance(error, DataError)
    assert str(error) == text.replace("FILE", str(path))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "FILE is empty (0 bytes)"),
        ("\n\n# nothing\n", "FILE holds only comments and blank lines: no header and no rows"),
        ("lat,lon\n", "FILE has a header (line 1) but no rows below it"),
        ("# made today\n\nlat,lon", "FILE has a header (line 3) but no rows below it"),
        (
            table("north,20"),
            "FILE, line 14, column 'lat': 'north' is not a number; correct the row or remove it",
        ),
        (
            table("51.5,0°"),
            "FILE, line 14, column 'lon': '0°' is not a number; correct the row or remove it",
        ),
        (
            table('"51,5",0.1'),
            "FILE, line 14, column 'lat': '51,5' is not a number; write decimals with a point",
        ),
        (table("nan,20"), "FILE, line 14, column 'lat': nan is not a finite number; correct the row or remove it"),
        (table("20,-inf"), "FILE, line 14, column 'lon': -inf is not a finite number; correct the row or remove it"),
        (table("20,1e999"), "FILE, line 14, column 'lon': inf is not a finite number; correct the row or remove it"),
        (table(",20"), "FILE, line 14, column 'lat': the cell is empty; fill it in or remove the row"),
        (
            table("20,NULL"),
            "FILE, line 14, column 'lon': the cell holds 'NULL', a missing value; fill it in or remove the row",
        ),
        (
            "# comment\n" + table("91,20", "92,400"),
            "FILE, line 15, column 'lat': latitude 91 is outside [-90, 90] degrees; correct the row or remove it",
        ),
        (
            "lat,lon\n" + "".join(f"{200 + row},20\n" for row in range(12)),
            "FILE, line 2, column 'lat': latitude 200 is outside [-90, 90] degrees; are latitude and longitude "
            "swapped? Name the latitude's column first",
        ),
        (
            "lat;lon\n" + "1,5;2,5\n" * 12,
            "FILE, line 2, column 'lat': '1,5' is not a number; write decimals with a point",
        ),
        (
            'lat,lon,note\n1,2,"a\n' + "3,4,b\n" * 150 + '5,6,"c\n',
            "FILE, line 2: a quotation mark is opened here and never closed",
        ),
        (
            table("9,400"),
            "FILE, line 14, column 'lon': longitude 400 is outside [-180, 360] degrees; correct the row or remove it",
        ),
        (
            table("9,-180.1"),
            "FILE, line 14, column 'lon': longitude -180.1 is outside [-180, 360] degrees; correct the row or "
            "remove it",
        ),
        ("lat,lon\n12,34\n", "FILE has only 1 row; at least 10 are needed"),
        ("lat,lon\n" + "12,34\n" * 9, "FILE has only 9 rows; at least 10 are needed"),
        (
            "lat,lon\n" + "12,34\n" * 20,
            "FILE: all 20 rows are the same point; a density needs points that differ",
        ),
        (
            "lat,lon\n" + "".join(f"90,{row}\n" for row in range(20)),
            "FILE: all 20 rows are the same point; a density needs points that differ",
        ),
        (
            table("1,2,3"),
            "FILE, line 14: 3 fields where the other rows have 2; correct or remove the line, or begin it with # if it "
            "is no data",
        ),
        (
            table("12"),
            "FILE, line 14: 1 field where the other rows have 2; correct or remove the line, or begin it with # if it "
            "is no data",
        ),
        (
            table("n/a,n/a", header="lat,lon\nn/a,n/a"),
            "FILE, line 2, column 'lat': the cell holds 'n/a', a missing value; fill it in or remove the row",
        ),
        (
            table(header="phi,theta"),
            f"FILE: neither latitude and longitude nor x, y, z are among its columns; {CHOOSE}, for example "
            "columns='1,2' (latitude first); its columns are: phi, theta",
        ),
        (
            "depth,magnitude,year\n" + "1,2,3\n" * 12,
            f"FILE: neither latitude and longitude nor x, y, z are among its columns; {CHOOSE}, for example "
            "columns='1,2' (latitude first); its columns are: depth, magnitude, year",
        ),
        (
            "".join(f"k,{a},{b}\n" for a, b in GOOD),
            f"FILE: it has no header, and 2 number columns, not x, y, z; {CHOOSE}, for example "
            "columns='2,3' (latitude first); its columns are: column_1, column_2, column_3",
        ),
        (
            table(header="lat,latitude"),
            f"FILE: several columns may be the latitude or the longitude (lat, latitude); {CHOOSE}",
        ),
        (
            "lat,lon\n" + "".join(f"0.{row},-1.{row}\n" for row in range(12)),
            "FILE: columns 'lat' and 'lon' could be in radians (none is larger than pi/2 and 2 pi); say unit='radians' "
            "or unit='degrees' (--unit)",
        ),
        (
            "name,lat,lon\n" + "".join(f"a,{a},{b}\n" for a, b in GOOD) + 'b,1,2\n"c,3,4\nd,5,6\n',
            "FILE, line 15: a quotation mark is opened here and never closed",
        ),
        (
            "name,lat,lon\n" + '"c,3,4\n' + "".join(f"a,{a},{b}\n" for a, b in GOOD * 20),
            "FILE, line 2: a quotation mark is opened here and never closed",
        ),
        (
            "1\n" + table()[8:],
            "FILE, line 1: 1 field where the other rows have 2; correct or remove the line, or begin it with # if it "
            "is no data",
        ),
    ],
)
def test_a_bad_table_on_the_sphere(tmp_path: Path, content: str, text: str) -> None:
    expect(tmp_path, content, text)


def test_swapped_columns_are_suspected(tmp_path: Path) -> None:
    text = (
        "FILE, line 2, column 'b': latitude -100.5 is outside [-90, 90] degrees; are latitude and longitude swapped? "
        "Name the latitude's column first"
    )
    expect(tmp_path, table(header="a,b"), text, columns="b,a")


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ("LATTUD,lon", "FILE has no column 'LATTUD'; its columns are: Latitude, Lon; did you mean 'Latitude'?"),
        ("latitud,lon", "FILE has no column 'latitud'; its columns are: Latitude, Lon; did you mean 'Latitude'?"),
        (["Latitude", "depth"], "FILE has no column 'depth'; its columns are: Latitude, Lon"),
        ("1,3", "FILE has no column '3'; its columns are: Latitude, Lon"),
        ("0,1", "FILE has no column '0'; its columns are: Latitude, Lon"),
        ("Lon", "FILE: points of Sphere(2) need 2 (latitude, longitude) or 3 (x, y, z) columns, but 1 were chosen"),
    ],
)
def test_a_column_that_is_not_there(tmp_path: Path, columns: Any, text: str) -> None:
    expect(tmp_path, table(header="Latitude,Lon"), text, columns=columns)


def test_the_closest_column_is_found_in_any_case(tmp_path: Path) -> None:
    text = "FILE has no column 'latitud'; its columns are: LATITUDE, LON; did you mean 'LATITUDE'?"
    expect(tmp_path, table(header="LATITUDE,LON"), text, columns="latitud,lon")


def test_a_name_in_a_table_without_a_header(tmp_path: Path) -> None:
    text = "FILE has no column 'phi'; its columns are: column_1, column_2; without a header, give positions from 1"
    expect(tmp_path, table()[8:], text, "torus", columns="phi")


def test_a_name_that_is_there_twice(tmp_path: Path) -> None:
    text = "FILE: columns 1, 2 are all called 'phi'; choose one by its position"
    expect(tmp_path, table(header="phi,phi"), text, "torus", columns="phi")


def test_a_header_over_several_lines_is_listed_in_one(tmp_path: Path) -> None:
    text = "FILE has no column 'c'; its columns are: phi in degrees, psi"
    expect(tmp_path, table(header='"phi\n in degrees",psi'), text, "torus", columns="c")


def test_many_columns_are_listed_in_part(tmp_path: Path) -> None:
    header = ",".join(f"c{index}" for index in range(30)) + "," + "long" * 40
    row = ",".join(["1"] * 31)
    text = str(error_of(_write(tmp_path, f"{header}\n{row}\n"), "torus", columns="nothing"))
    assert text.endswith("c18, c19 and 11 more")


@pytest.mark.parametrize(
    ("content", "manifold", "text"),
    [
        (
            table("x,1", header="phi,psi"),
            "torus",
            "FILE, line 14, column 'phi': 'x' is not a number; correct the row or remove it; or leave the column out: "
            + CHOOSE,
        ),
        (
            table(",1", header="phi,psi"),
            "torus",
            "FILE, line 14, column 'phi': the cell is empty; fill it in or remove the row; or leave the column out: "
            + CHOOSE,
        ),
        (
            "a,b\n" + "p,q\n" * 12,
            "torus",
            f"FILE has no column of numbers to take as points of torus; its columns are: a, b; {CHOOSE}",
        ),
        (
            table(header="phi,psi"),
            Torus(3),
            f"FILE: points of Torus(3) have 3 (angles) columns, but these columns are 2: phi, psi; {CHOOSE}",
        ),
        (
            table("9999,1", header="phi,psi"),
            "torus",
            "FILE, line 14, column 'phi': angle 9999 is outside [-360, 360] degrees; correct the row or remove it",
        ),
        (
            table("inf,1", header="phi,psi"),
            "torus",
            "FILE, line 14, column 'phi': inf is not a finite number; correct the row or remove it",
        ),
        (
            "phi,psi\n" + "-180,0\n180,360\n" * 6,
            "torus",
            "FILE: all 12 rows are the same point; a density needs points that differ",
        ),
        (
            table(),
            Sphere(3),
            f"FILE: points of Sphere(3) need 4 number columns, it has 2; {CHOOSE}",
        ),
    ],
)
def test_a_bad_table_on_another_manifold(tmp_path: Path, content: str, manifold: Any, text: str) -> None:
    expect(tmp_path, content, text, manifold)


def test_degrees_that_are_called_radians(tmp_path: Path) -> None:
    text = (
        "FILE, line 2, column 'phi': angle 10 is outside [-6.28319, 6.28319] radians; is the table in degrees? "
        "Then say unit='degrees'"
    )
    expect(tmp_path, table(header="phi,psi"), text, "torus", unit="radians")


def test_points_off_the_sphere(tmp_path: Path) -> None:
    rows = np.eye(3)[np.arange(12) % 3]
    rows[7] *= 1.001
    content = "x,y,z\n" + "".join(f"{x},{y},{z}\n" for x, y, z in rows)
    text = (
        "FILE, line 9: the point's length is 1.001, off the unit sphere by 0.001 (at most 0.0001 is put down to "
        "rounding); divide each row by its length"
    )
    expect(tmp_path, content, text)
    expect(tmp_path, npy(rows), text.replace("line 9", "row 8"), name="t.npy")
    rows[7] = 0
    expect(
        tmp_path, npy(rows), text.replace("line 9", "row 8").replace("1.001", "0").replace("0.001", "1"), name="t.npy"
    )
    rows[7] = 1e300
    assert "length is inf" in str(error_of(_write(tmp_path, npy(rows), "t.npy")))
    expect_unit = error_of(_write(tmp_path, npy(np.eye(3)[np.arange(12) % 3]), "t.npy"), unit="degrees")
    assert isinstance(expect_unit, OptionError)
    assert str(expect_unit).endswith("holds unit vectors, which have no unit; leave out unit='degrees'")


@pytest.mark.parametrize(
    ("manifold", "options", "text"),
    [
        ("spere", {}, f"unknown manifold 'spere'; {CHOICES}; did you mean 'sphere'?"),
        ("klein", {}, f"unknown manifold 'klein'; {CHOICES}"),
        (
            "sphere:quaternion",
            {},
            "manifold 'sphere:quaternion': sphere has no columns called 'quaternion', only: latlon, xyz",
        ),
        (
            Klein(2),
            {},
            "Klein(2) has no name on the command line; there are: sphere, torus, poincare, lorentz, spd, so3, "
            "euclidean, product",
        ),
        ("sphere", {"unit": "degree"}, "unknown unit 'degree'; say 'degrees' or 'radians'; did you mean 'degrees'?"),
        ("sphere", {"columns": "lat,lat"}, "columns='lat,lat' names a column twice"),
        ("sphere", {"columns": "lat,"}, "columns='lat,' has an empty name in it; give names like 'latitude,longitude'"),
        ("sphere", {"columns": []}, "columns=[] has an empty name in it; give names like 'latitude,longitude'"),
    ],
)
def test_bad_options(tmp_path: Path, manifold: Any, options: Any, text: str) -> None:
    error = error_of(_write(tmp_path, table()), manifold, **options)
    assert isinstance(error, OptionError)
    assert str(error) == text


def test_a_column_that_is_chosen_twice_under_two_names(tmp_path: Path) -> None:
    expect(tmp_path, table(), "FILE: column 'lat' is chosen twice", columns="lat,1")


def _write(folder: Path, content: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
