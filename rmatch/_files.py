"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rmatch._errors import OutputError


@contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "wb") -> Generator[IO[Any]]:
    """Open a temporary file beside `path` and move it into place when the block ends without an error.

    A link stays one: the file that it points to is replaced. A device or a pipe, such as /dev/stdout, holds nothing
    that could be lost and must not be replaced: it is opened itself.

    Args:
        path: The file to write. What it held before stays until the new content is complete and on disk.
        mode: `"wb"` for bytes or `"w"` for text (UTF-8).

    Yields:
        The open file.

    Raises:
        OutputError: The folder is missing or not writable, or the disk is full.

    Example:
        >>> import tempfile, pathlib
        >>> from rmatch._files import atomic_write
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "note.txt"
        >>> with atomic_write(path, "w") as file:
        ...     _ = file.write("done")
        >>> path.read_text()
        'done'
    """
    target = Path(path)
    encoding = None if "b" in mode else "utf-8"
    temporary: Path | None = None
    try:
        if target.exists() and not (target.is_file() or target.is_dir()):
            with open(target, mode, encoding=encoding) as file:
                yield file
            return
        place = Path(os.path.realpath(target))
        descriptor, name = tempfile.mkstemp(prefix=f".{place.name}.", suffix=".tmp", dir=place.parent)
        temporary = Path(name)
        os.fchmod(descriptor, 0o666 & ~_umask())
        with os.fdopen(descriptor, mode, encoding=encoding) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, place)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"cannot write {target}: {reason}; free some space or choose a folder that you may write to"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
