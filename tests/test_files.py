"""A file is either the old one, whole, or the new one, whole; and nothing is left lying about."""

import errno
import os
import stat
from pathlib import Path

import pytest

from rmatch._errors import OutputError, RmatchError
from rmatch._files import atomic_write


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "model.bin"
    path.write_bytes(b"old content")
    return path


def assert_untouched(path: Path) -> None:
    assert path.read_bytes() == b"old content"
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(("mode", "content"), [("wb", b"\x00new"), ("w", "Grüße 2π\n")])
def test_a_complete_write_replaces_the_file(old: Path, mode: str, content: bytes | str) -> None:
    with atomic_write(old, mode) as file:
        file.write(content)
        assert old.read_bytes() == b"old content"  # not before the block ends
    assert old.read_bytes() == (content if isinstance(content, bytes) else content.encode("utf-8"))
    assert [p.name for p in old.parent.iterdir()] == [old.name]


def test_a_new_file_has_the_permissions_that_open_would_give(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "new", "w") as file:
        file.write("x")
    (tmp_path / "plain").write_text("x")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


@pytest.mark.parametrize("error", [ValueError("bug"), KeyboardInterrupt(), RmatchError("bad")], ids=repr)
def test_any_error_in_the_block_leaves_the_old_content_and_passes_through(old: Path, error: BaseException) -> None:
    def write_half() -> None:
        with atomic_write(old) as file:
            file.write(b"half of the new con")
            raise error

    with pytest.raises(type(error)) as caught:
        write_half()
    assert caught.value is error
    assert_untouched(old)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_content_and_names_the_file(
    old: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OutputError) as caught, atomic_write(old) as file:
        file.write(b"new")
    assert str(caught.value) == (
        f"cannot write {old}: No space left on device; free some space or choose a folder that you may write to"
    )
    assert_untouched(old)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device /dev/full")
def test_a_disk_that_fills_up_while_writing_leaves_the_old_content(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every write to /dev/full fails as on a full disk; the temporary file is opened there."""
    import rmatch._files as files

    real = os.fdopen

    def on_a_full_disk(descriptor: int, *arguments: object, **options: object) -> object:
        os.close(descriptor)
        return real(os.open("/dev/full", os.O_WRONLY), *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(files.os, "fdopen", on_a_full_disk)
    with pytest.raises(OutputError, match="No space left on device"), atomic_write(old) as file:
        file.write(b"new" * 100_000)
    assert_untouched(old)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "file"
    with (
        pytest.raises(OutputError, match=r"cannot write .*missing/file: No such file or directory"),
        atomic_write(path),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"), atomic_write(tmp_path / "file"):
        pass
    tmp_path.chmod(0o700)


def test_a_folder_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OutputError, match=r"cannot write .*taken"), atomic_write(tmp_path / "taken") as file:
        file.write(b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


def test_a_relative_name_is_written_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with atomic_write("note.txt", "w") as file:
        file.write("here")
    assert (tmp_path / "note.txt").read_text() == "here"


def test_a_link_stays_a_link_to_the_new_content(old: Path, tmp_path: Path) -> None:
    link = tmp_path / "latest"
    link.symlink_to(old)
    with atomic_write(link, "w") as file:
        file.write("new")
    assert link.is_symlink()
    assert old.read_text() == "new"


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with atomic_write(pipe, "w") as file:
        file.write("through")
    assert os.read(reader, 100) == b"through"
    assert pipe.is_fifo()
    os.close(reader)
