"""Files that hold tables: .npy, Parquet, and text of any kind."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from tokenize import TokenError

import numpy as np
import numpy.typing as npt

from rmatch._errors import DataError, DependencyError
from rmatch._names import did_you_mean
from rmatch.datasets._tables import FloatArray, Table, position_names
from rmatch.datasets._text import parse_text

# What other files begin with, and what to do about them.
_FOREIGN = {
    b"PK\x03\x04": "a zip archive (an .xlsx workbook or an .npz?); save the table as CSV, or one array as .npy",
    b"\x1f\x8b": "compressed with gzip; unpack it first",
    b"BZh": "compressed with bzip2; unpack it first",
    b"\xfd7zXZ": "compressed with xz; unpack it first",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the table as CSV",
    b"<!DOCTYPE": "a web page; download the table itself",
    b"<html": "a web page; download the table itself",
    b"\x89HDF": "an HDF5 file; save the table as CSV or .npy",
}


def read_file(path: str | os.PathLike[str]) -> Table:
    """The table in a file: .npy and Parquet by their first bytes, anything else as text.

    Args:
        path: The file.

    Returns:
        The table.

    Raises:
        DataError: The file is missing, a folder, empty, cut short, or in a format that holds no table.
        DependencyError: The file is Parquet and polars is not installed.
    """
    path = Path(path)
    content = _content(path)
    for start, what in _FOREIGN.items():
        if content.startswith(start):
            raise DataError(f"{path} is {what}")
    if content.startswith(b"\x93NUMPY") or path.suffix.lower() == ".npy":
        return _read_npy(path, content)
    if content.startswith(b"PAR1") or path.suffix.lower() in (".parquet", ".pq"):
        return _read_parquet(path, content)
    return parse_text(path, _decode(path, content))


def _content(path: Path) -> bytes:
    """The file's bytes."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        siblings = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"no such file: {path}{did_you_mean(path.name, siblings)}") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder; give the table's file in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"cannot read {path}: {reason}") from error
    if not content:
        raise DataError(f"{path} is empty (0 bytes)")
    return content


def _decode(path: Path, content: bytes) -> str:
    """The text of a file in UTF-8, or in UTF-16 with its mark."""
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding == "utf-16":
            raise DataError(f"{path} begins as UTF-16 text but is damaged; save the table as UTF-8 text") from None
        if b"\0" in content[:8192]:
            raise DataError(f"{path} is not a text table: it holds binary data") from None
        line, byte = content.count(b"\n", 0, error.start) + 1, content[error.start]
        raise DataError(f"{path}, line {line}: byte 0x{byte:02x} is not UTF-8; save the table as UTF-8 text") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{path} is not a text table: it holds binary data (a zero byte on line {line})")
    return text


def _read_npy(path: Path, content: bytes) -> Table:
    """The columns of an (N, k) array of real numbers, or the entries of (N, n, n) matrices row by row."""
    if not content.startswith(b"\x93NUMPY"):
        raise DataError(f"{path} is no .npy array: it does not begin as numpy.save begins one")
    try:
        array: npt.NDArray[np.generic] = np.load(io.BytesIO(content), allow_pickle=False)
    # A damaged header gives any of these, the last two for a shape that no memory holds.
    except (OSError, ValueError, EOFError, SyntaxError, TokenError, TypeError, OverflowError, MemoryError) as error:
        raise DataError(f"{path} cannot be read as a .npy array, it may be cut short: {_one_line(error)}") from error
    if array.dtype.kind not in "fiu":
        raise DataError(f"{path} holds {array.dtype} values, expected real numbers (save the array as float64)")
    matrices = array.ndim == 3 and array.shape[1] == array.shape[2]
    if not (array.ndim == 2 or matrices) or array.shape[1] < 1:
        raise DataError(
            f"{path} holds an array of shape {array.shape}, expected (rows, columns), or (rows, n, n) for matrices"
        )
    if not len(array):
        raise DataError(f"{path} has no rows (shape {array.shape})")
    values = array.astype(np.float64).reshape(len(array), -1)
    if matrices:
        names = tuple(f"m{i + 1}_{j + 1}" for i in range(array.shape[1]) for j in range(array.shape[1]))
        return Table(path, names, tuple(values.T), None, has_header=False, holds_matrices=True)
    return Table(path, position_names(values.shape[1]), tuple(values.T), None, has_header=False)


def _read_parquet(path: Path, content: bytes) -> Table:
    """The columns of a Parquet file."""
    if not (content.startswith(b"PAR1") and content.endswith(b"PAR1") and len(content) > 12):
        raise DataError(f"{path} is no complete Parquet file: its {len(content)} bytes do not begin and end with PAR1")
    try:
        import polars as pl
    except ImportError as error:
        raise DependencyError(f'reading {path} needs polars: pip install "rmatch[table]"') from error
    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {_one_line(error)}") from error
    if not frame.width or not frame.height:
        raise DataError(f"{path} has no rows (shape {frame.shape})")
    columns: list[Sequence[str] | FloatArray] = []
    for series in frame.get_columns():
        if series.dtype.is_numeric():
            columns.append(series.cast(pl.Float64).to_numpy().astype(np.float64))
        else:
            columns.append(["" if value is None else str(value) for value in series.to_list()])
    return Table(path, tuple(frame.columns), tuple(columns), None, has_header=True)


def _one_line(error: Exception) -> str:
    """The first line of another library's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
