"""Trained runs, as small as they can be, and the command line called in this process."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

TINY = ["--steps", "3", "--width", "4", "--depth", "1", "--batch-size", "8"]


class Outcome(NamedTuple):
    """What a command printed and returned."""

    status: int
    out: str
    err: str


Rmatch = Callable[..., Outcome]


@pytest.fixture(scope="session", autouse=True)
def coarse_pictures() -> Iterator[None]:
    """Pictures that take no time; one test draws a finer one."""
    from rmatch.cli import _job, _picture

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_job, "_PICTURE_ROWS", 8)
        patch.setattr(_picture, "_WEIGHED", 400)
        patch.setattr(_picture, "_SHOWN", 100)
        yield


@pytest.fixture
def no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the picture out: it takes longer than a small training."""
    monkeypatch.setattr("rmatch.cli._job.Job._draw", lambda job, run: None)


@pytest.fixture
def rmatch(capsys: pytest.CaptureFixture[str]) -> Rmatch:
    """Call a command; `rmatch("sample", folder)`."""
    from rmatch.cli import main

    def call(*argv: object) -> Outcome:
        capsys.readouterr()
        status = main([str(token) for token in argv])
        out, err = capsys.readouterr()
        return Outcome(status, out, err)

    return call


@pytest.fixture
def refused(rmatch: Rmatch) -> Callable[..., str]:
    """Call a command that must be refused: status 2, one line on standard error, nothing else; returns the line."""

    def call(*argv: object) -> str:
        outcome = rmatch(*argv)
        assert outcome.status == 2, outcome
        assert outcome.out == ""
        (line,) = outcome.err.splitlines()
        assert line.startswith("rmatch: error: ")
        return line

    return call


def write_places(path: Path, rows: int = 60) -> Path:
    """A table of places around (20, 40) with one more column."""
    noise = torch.randn(rows, 2, generator=torch.Generator().manual_seed(0))
    body = "".join(f"site {k},{20 + 10 * a:.4f},{40 + 10 * b:.4f}\n" for k, (a, b) in enumerate(noise.tolist()))
    path.write_text("# made for a test\nname,latitude,longitude\n" + body)
    return path


def write_angles(path: Path, rows: int = 60) -> Path:
    """A table of two angles in degrees, from 0 to 360."""
    values = 360 * torch.rand(rows, 2, generator=torch.Generator().manual_seed(0))
    path.write_text("phi,psi\n" + "".join(f"{a:.3f},{b:.3f}\n" for a, b in values.tolist()))
    return path


@pytest.fixture
def places(tmp_path: Path) -> Path:
    return write_places(tmp_path / "places.csv")


def _train(folder: Path, table: Path, manifold: str) -> Path:
    from rmatch.cli import main

    status = main(["train", str(table), "--manifold", manifold, "-o", str(folder), *TINY])
    assert status == 0
    return folder


@pytest.fixture(scope="session")
def trained_sphere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on the sphere; not to be changed."""
    home = tmp_path_factory.mktemp("sphere")
    return _train(home / "run", write_places(home / "places.csv"), "sphere")


@pytest.fixture(scope="session")
def trained_torus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on the torus; not to be changed."""
    home = tmp_path_factory.mktemp("torus")
    return _train(home / "run", write_angles(home / "angles.csv"), "torus")


@pytest.fixture
def sphere_run(trained_sphere: Path, tmp_path: Path) -> Path:
    """A copy of the finished run on the sphere, to be spoilt."""
    return Path(shutil.copytree(trained_sphere, tmp_path / "copy"))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}
