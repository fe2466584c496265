"""Every manifold from a table to samples, a score and a picture, and what its tables can have wrong."""

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from rmatch.datasets import read_table
from rmatch.training import load_run

Refused = Callable[..., str]
TINY = ["--steps", "2", "--width", "4", "--depth", "1", "--batch-size", "8"]
RNG = np.random.default_rng(0)
COUNT = 30

BALL = RNG.uniform(-0.5, 0.5, size=(COUNT, 2))
SHEET = np.concatenate([np.sqrt(1 + (BALL**2).sum(1, keepdims=True)), BALL], axis=1)
FACTORS = 0.3 * RNG.normal(size=(COUNT, 2, 2)) + np.eye(2)
MATRICES = FACTORS @ FACTORS.swapaxes(1, 2)
TRIANGLES = MATRICES.reshape(COUNT, 4)[:, [0, 1, 3]]
QUATERNIONS = Rotation.random(COUNT, rng=RNG).as_quat()
PLACES = np.stack([RNG.uniform(-60, 60, COUNT), RNG.uniform(-170, 170, COUNT)], axis=1)


class Case(NamedTuple):
    """A table, what `--manifold` says of it, and what comes of it."""

    manifold: str
    header: str
    rows: NDArray[np.float64]
    expected: str
    columns: str


CASES = {
    "poincare": Case("poincare", "x,y", BALL, "PoincareBall(2)", "x,y"),
    "lorentz": Case("lorentz", "t,x,y", SHEET, "Lorentz(2)", "t,x,y"),
    "spd": Case("spd:log-euclidean", "xx,xy,yy", TRIANGLES, 'SPD(2, metric="log-euclidean")', "xx,xy,yy"),
    "so3": Case("so3", "qx,qy,qz,qw", QUATERNIONS, "SpecialOrthogonal(3)", "qw,qx,qy,qz"),
    "product": Case(
        "product:sphere2,poincare2",
        "lat,lon,u,v",
        np.concatenate([PLACES, BALL], axis=1),
        "Product(Sphere(2), PoincareBall(2))",
        "lat,lon,u,v",
    ),
}


def write(path: Path, header: str, rows: Any) -> Path:
    path.write_text(header + "\n" + "".join(",".join(map(repr, row)) + "\n" for row in np.asarray(rows).tolist()))
    return path


@pytest.fixture(scope="module", params=CASES)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, Path]:
    """A finished run; not to be changed."""
    from rmatch.cli import main

    case, home = CASES[request.param], tmp_path_factory.mktemp(request.param)
    table, folder = write(home / "table.csv", case.header, case.rows), home / "run"
    assert main(["train", str(table), "--manifold", case.manifold, "-o", str(folder), *TINY]) == 0
    return case, folder


def test_training_leaves_samples_in_the_tables_columns_and_a_picture(run: tuple[Case, Path]) -> None:
    case, folder = run
    assert repr(load_run(folder).manifold) == case.expected
    header, *body = csv.reader((folder / "samples.csv").read_text().splitlines())
    assert header == case.columns.split(",")
    assert len(body) == 1000
    assert (folder / "density.png").read_bytes().startswith(b"\x89PNG")


def test_samples_are_a_table_of_the_same_kind(run: tuple[Case, Path]) -> None:
    """What was written is read as points again, with the digits that float32 has."""
    case, folder = run
    trained = load_run(folder)
    again = read_table(folder / "samples.csv", case.manifold)
    assert (again.kind, again.manifold, again.unit) == (
        trained.coordinates.kind,
        trained.manifold,
        trained.coordinates.unit,
    )


def test_scores_of_a_run_and_of_a_table_agree(rmatch: Any, run: tuple[Case, Path]) -> None:
    case, folder = run
    last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    table = write(folder.parent / "test.csv", case.header, case.rows[load_run(folder).split().test.numpy()])
    found = json.loads(rmatch("evaluate", folder, table, "--format", "json").out)
    assert found["n"] == 3
    assert found["nll"] == pytest.approx(last["nll"], abs=1e-4)
    assert math.isfinite(last["kernel_density_nll"])
    volume = {"SpecialOrthogonal(3)": math.log(8 * math.pi**2)}.get(case.expected)
    assert last["uniform_nll"] == pytest.approx(volume)


def test_the_summary_says_why_a_baseline_is_missing(rmatch: Any, run: tuple[Case, Path]) -> None:
    case, folder = run
    outcome = rmatch("train", "--resume", "-o", folder, "--manifold", case.manifold)
    assert outcome.status == 0
    wanted = "4.369" if case.expected == "SpecialOrthogonal(3)" else "none: the volume is infinite"
    assert f"uniform density         {wanted:>8}" in outcome.out.replace("    none", "none")


def test_a_picture_of_another_format(rmatch: Any, run: tuple[Case, Path], tmp_path: Path) -> None:
    assert rmatch("plot", run[1], "-o", tmp_path / "p.svg", "--resolution", "8").status == 0
    assert (tmp_path / "p.svg").read_bytes().startswith(b"<?xml")


def test_another_manifold_is_refused_on_resuming(refused: Refused, run: tuple[Case, Path]) -> None:
    case, folder = run
    line = refused("train", "--resume", "-o", folder, "--manifold", "so3:axis-angle")
    own = {"SpecialOrthogonal(3)": "so3:quaternion"}.get(case.expected, "")
    assert f"--manifold {own}" in line
    assert ", not so3:axis-angle" in line


@pytest.mark.usefixtures("no_picture")
def test_an_array_of_matrices_is_sampled_as_all_entries(rmatch: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "tensors.npy", MATRICES)
    assert rmatch("train", tmp_path / "tensors.npy", "--manifold", "spd", "-o", tmp_path / "run", *TINY).status == 0
    header, *body = csv.reader((tmp_path / "run" / "samples.csv").read_text().splitlines())
    assert header == ["m1_1", "m1_2", "m2_1", "m2_2"]
    matrices = np.array(body, dtype=float).reshape(-1, 2, 2)
    assert (np.linalg.eigvalsh(matrices) > 0).all()
    # A text table of the same four columns is read as the run's own was, without being told again.
    table = write(tmp_path / "more.csv", ",".join(header), matrices.reshape(-1, 4)[:20])
    assert json.loads(rmatch("evaluate", tmp_path / "run", table, "--format", "json").out)["n"] == 20


@pytest.mark.usefixtures("no_picture")
def test_times_of_day_have_a_period_of_24(rmatch: Any, tmp_path: Path) -> None:
    hours = RNG.uniform(0, 24, size=(COUNT, 1))
    table = write(tmp_path / "t.csv", "hour", hours)
    assert rmatch("train", table, "--manifold", "torus:period=24", "-o", tmp_path / "run", *TINY).status == 0
    values = np.array(list(csv.reader((tmp_path / "run" / "samples.csv").read_text().splitlines()))[1:], dtype=float)
    assert 0 <= values.min() < 6
    assert 18 < values.max() < 24


NOT_SPD = [*TRIANGLES.tolist()[:12], [1.0, 2.0, 1.0]]
BAD: dict[str, tuple[str, str, Any, str]] = {
    "a matrix that is not positive definite": (
        "spd",
        "a,b,c",
        NOT_SPD,
        "line 14: the matrix is not positive definite: its smallest eigenvalue is -1; correct the row or remove it",
    ),
    "a matrix that is not symmetric": (
        "spd:matrix",
        "a,b,c,d",
        [*MATRICES.reshape(COUNT, 4).tolist()[:12], [1.0, 0.1, 0.2, 1.0]],
        "line 14: the matrix is not symmetric: entry (1, 2) is 0.1, entry (2, 1) is 0.2",
    ),
    "a number of columns that is no triangle": (
        "spd",
        "a,b,c,d,e",
        RNG.normal(size=(12, 5)),
        "an upper triangle has 1, 3, 6, 10, 15, ... entries, row by row, but these columns are 5: a, b, c, d, e",
    ),
    "a point outside the ball": (
        "poincare",
        "a,b",
        [*BALL.tolist()[:12], [0.8, 0.8]],
        "line 14: the point's length is 1.13137085, outside the ball of radius 1",
    ),
    "a point off the hyperboloid": (
        "lorentz",
        "a,b,c",
        [*SHEET.tolist()[:12], [2.0, 0.0, 0.0]],
        "line 14, column 'a': the point is off the hyperboloid",
    ),
    "a quaternion of length zero": (
        "so3",
        "w,x,y,z",
        [*QUATERNIONS.tolist()[:12], [0.0, 0.0, 0.0, 0.0]],
        "line 14: the quaternion has length 0, which is no rotation",
    ),
    "a reflection": (
        "so3",
        "a,b,c,d,e,f,g,h,i",
        [[1.0, 0, 0, 0, 1, 0, 0, 0, 1]] * 12 + [[1.0, 0, 0, 0, 1, 0, 0, 0, -1]],
        "line 14: the matrix has determinant -1, a reflection and no rotation",
    ),
    "a product with mismatched columns": (
        "product:sphere2,torus1",
        "lat,lon,a,b,c",
        np.concatenate([PLACES, PLACES, PLACES[:, :1]], axis=1),
        "product:sphere,torus:1 takes columns side by side: 2 (latlon) or 3 (xyz) for sphere; 1 (angles) for torus:1; "
        "but these are 5: lat, lon, a, b, c",
    ),
    "a point that float32 puts on the rim": (
        "poincare",
        "a,b",
        [*BALL.tolist()[:12], [1 - 1e-9, 0.0]],
        "row 13 lies at distance 21.42 from the origin of PoincareBall(2), where float32",
    ),
    "a matrix that float32 makes singular": (
        "spd",
        "a,b,c",
        [*TRIANGLES.tolist()[:12], [1.0, 1.0, 1.0 + 1e-10]],
        "row 13 lies at distance",
    ),
    "matrices in a tiny unit": (
        "spd",
        "a,b,c",
        1e-12 * TRIANGLES,
        "change the unit so that typical points are near",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_table(refused: Refused, tmp_path: Path, name: str) -> None:
    manifold, header, rows, expected = BAD[name]
    table = write(tmp_path / "table.csv", header, rows)
    line = refused("train", table, "--manifold", manifold, "-o", tmp_path / "run", *TINY)
    assert expected in line
    assert str(table) in line
    assert not (tmp_path / "run").exists()


def test_options_of_a_run_survive_in_its_folder(run: tuple[Case, Path]) -> None:
    """The stored configuration alone gives back the manifold, and points of it."""
    case, folder = run
    stored = json.loads((folder / "config.json").read_text())["coordinates"]
    assert stored.get("manifold") == ("spd:2:log-euclidean" if case.expected.startswith("SPD") else None)
    trained = load_run(folder)
    torch.testing.assert_close(trained.data().points, trained.coordinates.to_points(_ordered(case)))


def _ordered(case: Case) -> NDArray[np.float64]:
    """The rows with their columns in the order of the samples."""
    names = case.header.split(",")
    return case.rows[:, [names.index(name) for name in case.columns.split(",")]]
