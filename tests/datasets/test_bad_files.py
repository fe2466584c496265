"""Files that hold no readable table: missing, cut short, binary, in another format; never a traceback."""

import gzip
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rmatch._errors import DataError, RmatchError
from rmatch.datasets import read_table


def npy(array: Any, cut: int = 0) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()[: -cut or None]


def parquet(cut: int = 0, **columns: Any) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()[: -cut or None]


def error_of(path: Any, manifold: Any = "sphere", **options: Any) -> RmatchError:
    with pytest.raises(RmatchError) as caught:
        read_table(path, manifold, **options)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (npy(np.ones((12, 3)), cut=9), "FILE cannot be read as a .npy array, it may be cut short: "),
        (npy(np.ones((12, 3)))[:20], "FILE cannot be read as a .npy array, it may be cut short: "),
        (b"lat,lon\n1,2\n", "FILE is no .npy array: it does not begin as numpy.save begins one"),
        (npy(np.array([[{}]], dtype=object)), "FILE cannot be read as a .npy array, it may be cut short: "),
        (npy(np.ones((12, 3), dtype=complex)), "FILE holds complex128 values, expected real numbers"),
        (npy(np.array([["a", "b"]])), "FILE holds <U1 values, expected real numbers"),
        (npy(np.ones((12, 2), dtype=bool)), "FILE holds bool values, expected real numbers"),
        (npy(np.ones(12)), "FILE holds an array of shape (12,), expected (rows, columns)"),
        (npy(np.ones((2, 3, 4))), "FILE holds an array of shape (2, 3, 4), expected (rows, columns)"),
        (npy(np.ones((12, 0))), "FILE holds an array of shape (12, 0), expected (rows, columns)"),
        (npy(np.ones((0, 3))), "FILE has no rows (shape (0, 3))"),
        (npy(np.full((12, 3), np.nan)), "FILE, row 1, column 'column_1': nan is not a finite number"),
        (npy(np.ones((12, 4))), "FILE: it has no header, and 4 number columns, not x, y, z; choose them"),
    ],
)
def test_a_bad_array(tmp_path: Path, content: bytes, text: str) -> None:
    path = _write(tmp_path, content, "t.npy")
    error = error_of(path)
    assert isinstance(error, DataError)
    assert str(error).startswith(text.replace("FILE", str(path)))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (parquet(lat=[1.0, 2.0], cut=7), "FILE is no complete Parquet file: its "),
        (b"PAR1PAR1", "FILE is no complete Parquet file: its 8 bytes do not begin and end with PAR1"),
        (b"PAR1" + b"\1" * 50 + b"PAR1", "FILE cannot be read as Parquet: "),
        (parquet(lat=pl.Series([], dtype=pl.Float64)), "FILE has no rows (shape (0, 1))"),
        (
            parquet(lat=[1.0, None] * 6, lon=[2.0] * 12),
            "FILE, row 2, column 'lat': nan is not a finite number (or the cell is empty)",
        ),
        (
            parquet(lat=["x", None] * 6, lon=[2.0] * 12),
            "FILE, row 1, column 'lat': 'x' is not a number",
        ),
        (parquet(lat=[None] * 12, lon=[2.0] * 12), "FILE, row 1, column 'lat': the cell is empty"),
        (parquet(lat=[91] * 12, lon=[200.0] * 12), "FILE, row 1, column 'lat': latitude 91 is outside [-90, 90]"),
        (parquet(lat=[[1.0]] * 12, lon=[2.0] * 12), "FILE, row 1, column 'lat': '[1.0]' is not a number"),
    ],
)
def test_bad_parquet(tmp_path: Path, content: bytes, text: str) -> None:
    path = _write(tmp_path, content, "t.parquet")
    error = error_of(path)
    assert isinstance(error, DataError)
    assert str(error).startswith(text.replace("FILE", str(path)))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (bytes(range(256)) * 4, "FILE is not a text table: it holds binary data"),
        (b"lat,lon\n1,2\n\0\0\n", "FILE is not a text table: it holds binary data (a zero byte on line 3)"),
        (
            "lat,lon\n1,2\nZürich,3\n".encode("latin-1"),
            "FILE, line 3: byte 0xfc is not UTF-8; save the table as UTF-8 text",
        ),
        (b"\xff\xfel\0a", "FILE begins as UTF-16 text but is damaged; save the table as UTF-8 text"),
        (gzip.compress(b"lat,lon\n1,2\n", mtime=0), "FILE is compressed with gzip; unpack it first"),
        (
            b"PK\x03\x04stuff",
            "FILE is a zip archive (an .xlsx workbook or an .npz?); save the table as CSV, or one array as .npy",
        ),
        (b"<!DOCTYPE html><p>404</p>", "FILE is a web page; download the table itself"),
    ],
)
def test_files_that_are_no_text(tmp_path: Path, content: bytes, text: str) -> None:
    path = _write(tmp_path, content)
    assert str(error_of(path)) == text.replace("FILE", str(path))


def test_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "quakes.csv").write_text("x")
    missing = tmp_path / "quake.csv"
    assert str(error_of(missing)) == f"no such file: {missing}; did you mean 'quakes.csv'?"
    assert str(error_of(tmp_path / "no" / "t.csv")) == f"no such file: {tmp_path / 'no' / 't.csv'}"
    assert str(error_of(str(missing), "torus")) == f"no such file: {missing}; did you mean 'quakes.csv'?"


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    assert str(error_of(tmp_path)) == f"{tmp_path} is a folder; give the table's file in it"
    (tmp_path / "file").write_text("x")
    assert str(error_of(tmp_path / "file" / "t.csv")) == f"cannot read {tmp_path / 'file' / 't.csv'}: Not a directory"
    assert str(error_of("a\0b")).startswith("cannot read a")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read every file")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = _write(tmp_path, b"lat,lon\n")
    path.chmod(0)
    assert str(error_of(path)) == f"cannot read {path}: Permission denied"


@pytest.mark.parametrize("manifold", ["sphere", "torus"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    content=st.binary(max_size=80) | st.text(alphabet='0123456789.,;\t\n "#-elatonx\r', max_size=120).map(str.encode)
)
def test_no_file_raises_anything_but_one_clear_line(tmp_path: Path, manifold: str, content: bytes) -> None:
    for name in ("t.csv", "t.npy"):
        path = _write(tmp_path, content, name)
        problem = None
        try:
            read_table(path, manifold, minimum_rows=1)
        except DataError as error:
            problem = str(error)
        assert problem is None or (str(path) in problem and "\n" not in problem)


def _write(folder: Path, content: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
