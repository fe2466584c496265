"""Every bad input gets one clear line and status 2, and nothing is lost."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rmatch.training import RunOptions

Refused = Callable[..., str]

TINY = ["--steps", "3", "--width", "4", "--depth", "1", "--batch-size", "8"]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rows(*changes: str) -> str:
    """A good table of 12 rows with the last ones replaced."""
    good = [f"{k},{2 * k}" for k in range(20, 20 + 12 - len(changes))]
    return "\n".join(["latitude,longitude", *good, *changes]) + "\n"


TABLES: dict[str, tuple[str, list[str], str]] = {
    "empty file": ("", [], "is empty"),
    "header only": ("latitude,longitude\n", [], "no rows"),
    "text in a number column": (rows("10,north"), [], "line 13, column 'longitude': 'north' is not a number"),
    "NaN": (rows("nan,1"), [], "line 13, column 'latitude': nan is not a finite number"),
    "infinity": (rows("1,inf", "3,4"), [], "line 12, column 'longitude': inf is not a finite number"),
    "latitude 91": (rows("91,1"), [], "line 13, column 'latitude': latitude 91 is outside [-90, 90] degrees"),
    "longitude 400": (rows("1,400"), [], "line 13, column 'longitude': longitude 400 is outside [-180, 360] degrees"),
    "a column that is not there": (rows(), ["--columns", "latitud,longitude"], "has no column 'latitud'"),
    "one row": ("latitude,longitude\n1,2\n", ["--unit", "degrees"], "has only 1 row; at least 10 are needed"),
    "all rows equal": ("latitude,longitude\n" + "30,40\n" * 20, [], "all 20 rows are the same point"),
    "points off the sphere": (
        "x,y,z\n" + "0,0,1\n" * 11 + "0,0.6,0.801\n",
        [],
        "line 13: the point's length is 1.0008002, off the unit sphere by 0.0008",
    ),
    "binary": ("latitude\0", [], "not a text table"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_bad_table(refused: Refused, tmp_path: Path, name: str) -> None:
    text, options, expected = TABLES[name]
    table, folder = tmp_path / "table.csv", tmp_path / "runs" / "run"
    table.write_text(text)
    line = refused("train", table, "--manifold", "sphere", "-o", folder, *TINY, *options)
    assert expected in line
    assert str(table) in line
    assert not folder.parent.exists()


def test_points_off_the_sphere_by_a_thousandth(refused: Refused, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("x,y,z\n" + "0,0,1\n" * 11 + "0,0,1.001\n")
    line = refused("train", table, "--manifold", "sphere", "-o", tmp_path / "run", *TINY)
    assert "line 13: the point's length is 1.001, off the unit sphere by 0.001" in line


def test_a_missing_file(refused: Refused, tmp_path: Path, places: Path) -> None:
    line = refused("train", tmp_path / "place.csv", "--manifold", "sphere", "-o", tmp_path / "run")
    assert "no such file" in line
    assert "did you mean 'places.csv'?" in line
    assert "no such file: nowhere.csv" in refused("train", "nowhere.csv", "-o", tmp_path / "run")
    assert "built in are: airports, ramachandran" in refused("train", "airport", "-o", tmp_path / "run")


def test_an_unknown_manifold(refused: Refused, tmp_path: Path, places: Path) -> None:
    line = refused("train", places, "--manifold", "spere", "-o", tmp_path / "run")
    assert "unknown manifold 'spere'; there are: sphere, torus, poincare, lorentz, spd, so3, euclidean" in line
    assert line.endswith("did you mean 'sphere'?")
    line = refused("train", places, "--manifold", "product:sphere2,trous1", "-o", tmp_path / "run")
    assert line.endswith("did you mean 'torus'?")
    assert not (tmp_path / "run").exists()
    config = tmp_path / "options.toml"
    config.write_text('manifold = "klein bottle"\n')
    line = refused("train", places, "-o", tmp_path / "run", "--config", config)
    assert "unknown manifold 'klein bottle'" in line


def test_no_manifold_for_a_table(refused: Refused, tmp_path: Path, places: Path) -> None:
    assert "--manifold sphere" in refused("train", places, "-o", tmp_path / "run")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--steps", "5", "--budget", "1m"], "--steps and --budget exclude each other"),
        (["--resume", "--overwrite"], "--resume and --overwrite exclude each other"),
        (["--steps", "0"], "steps must be 1 or more, got 0"),
        (["--steps", "many"], 'unable to convert "many" into int'),
        (["--budget", "5"], "--budget '5' is not a time; write 90s, 5m or 2h"),
        (["--budget", "0m"], "is not a time"),
        (["--budget=-5m"], "is not a time"),
        (["--lr", "0"], "lr must be above 0"),
        (["--lr", "nan"], "lr must be above 0"),
        (["--width", "-1"], "width must be 1 or more, got -1"),
        (["--batch-size", "0"], "batch_size must be 1 or more"),
        (["--seed", "-3"], "seed must be 0 or more"),
        (["--device", "warp"], "--device warp cannot be used here"),
        (["--device", "meta"], "--device meta cannot be used here"),
        (["--unit", "gradians"], 'Invalid value "gradians" for --unit'),
        (["--colums", "a,b"], 'Unknown option: --colums. Did you mean "--columns"?'),
        (["another"], "unexpected argument 'another'"),
        (["--config", "nowhere.toml"], "--config: no such file: nowhere.toml"),
    ],
)
def test_a_bad_option(refused: Refused, tmp_path: Path, places: Path, options: list[str], expected: str) -> None:
    line = refused("train", places, "--manifold", "sphere", "-o", tmp_path / "run", *options)
    assert expected.replace('"', "") in line.replace('"', "")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("steps = ", "is not TOML"),
        ("stepz = 3", "unknown option 'stepz'; did you mean 'steps'?"),
        ('steps = "3"', "steps = '3' is of the wrong type, expected int"),
        ("steps = true", "of the wrong type"),
        ("columns = [1, 2]", "of the wrong type"),
        ('steps = 3\nbudget = "5m"', "both steps and budget"),
    ],
)
def test_a_bad_options_file(refused: Refused, tmp_path: Path, places: Path, text: str, expected: str) -> None:
    config = tmp_path / "options.toml"
    config.write_text(text + "\n")
    line = refused("train", places, "--manifold", "sphere", "-o", tmp_path / "run", "--config", config)
    assert expected in line
    assert str(config) in line


def test_nothing_to_train_on_or_nowhere_to_write(refused: Refused, tmp_path: Path, places: Path) -> None:
    assert "say what to train on" in refused("train", "-o", tmp_path / "run")
    assert "say where the run goes" in refused("train", places, "--manifold", "sphere")
    assert "is a file; name a folder" in refused("train", places, "--manifold", "sphere", "-o", places)


def test_options_that_do_not_fit_a_built_in_data_set(refused: Refused, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert "airports is on the sphere" in refused("train", "airports", "-o", folder, "--manifold", "torus")
    assert "leave --columns out" in refused("train", "airports", "-o", folder, "--columns", "a,b")
    assert "leave --unit out" in refused("train", "airports", "-o", folder, "--unit", "radians")


def test_a_folder_that_holds_a_run(refused: Refused, trained_sphere: Path, places: Path) -> None:
    before = contents(trained_sphere)
    line = refused("train", places, "--manifold", "sphere", "-o", trained_sphere, *TINY)
    assert "already holds a run" in line
    assert "--resume" in line
    assert "--overwrite" in line
    assert contents(trained_sphere) == before


@pytest.mark.parametrize("fault", ["data", "option", "disk"])
def test_overwrite_keeps_the_old_run_until_the_new_one_has_begun(
    refused: Refused, sphere_run: Path, places: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    before = contents(sphere_run)
    argv: list[Any] = ["train", places, "--manifold", "sphere", "-o", sphere_run, *TINY, "--overwrite"]
    if fault == "data":
        places.write_text(rows("1,x"))
    if fault == "option":
        argv += ["--lr", "-1"]
    if fault == "disk":
        monkeypatch.setattr(os, "fsync", full_disk)
    refused(*argv)
    assert contents(sphere_run) == before


def full_disk(descriptor: int) -> None:
    raise OSError(28, "No space left on device")


def test_a_full_disk(refused: Refused, tmp_path: Path, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", full_disk)
    folder = tmp_path / "runs" / "run"
    line = refused("train", places, "--manifold", "sphere", "-o", folder, *TINY)
    assert "No space left on device; free some space" in line
    assert not folder.exists()


def test_a_full_disk_while_samples_are_written(
    refused: Refused, trained_sphere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "samples.csv"
    target.write_text("old")
    monkeypatch.setattr(os, "fsync", full_disk)
    assert "No space left" in refused("sample", trained_sphere, "-n", "5", "-o", target)
    assert target.read_text() == "old"


def test_a_folder_that_cannot_be_made(refused: Refused, places: Path) -> None:
    line = refused("train", places, "--manifold", "sphere", "-o", places / "run", *TINY)
    assert "cannot make the folder" in line


@pytest.mark.parametrize("command", [["sample", "-n", "3"], ["evaluate"], ["plot"], ["train", "--resume", "-o"]])
def test_a_folder_that_is_no_run(refused: Refused, tmp_path: Path, command: list[str]) -> None:
    assert "there is no run folder" in refused(*command, tmp_path / "nowhere")
    assert "is not a run folder: it has no config.json" in refused(*command, tmp_path)


@pytest.mark.parametrize("command", [["sample", "-n", "3"], ["evaluate"], ["plot"]])
def test_a_model_cut_in_half(refused: Refused, sphere_run: Path, command: list[str]) -> None:
    model = sphere_run / "model.safetensors"
    model.write_bytes(model.read_bytes()[: model.stat().st_size // 2])
    assert "model.safetensors is damaged or cut short" in refused(*command, sphere_run)


def test_a_checkpoint_cut_in_half(refused: Refused, sphere_run: Path) -> None:
    checkpoint = sphere_run / "checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[: checkpoint.stat().st_size // 2])
    before = contents(sphere_run)
    assert "checkpoint.safetensors is damaged or cut short" in refused("train", "--resume", "-o", sphere_run)
    assert contents(sphere_run) == before


def test_files_of_another_manifold(refused: Refused, sphere_run: Path, trained_torus: Path) -> None:
    for name in ("model.safetensors", "checkpoint.safetensors"):
        (sphere_run / name).write_bytes((trained_torus / name).read_bytes())
    before = contents(sphere_run)
    assert "is of Torus(2), but config.json beside it says Sphere(2)" in refused("sample", sphere_run)
    line = refused("train", "--resume", "-o", sphere_run)
    assert "has another manifold (Torus(2)) than this training (Sphere(2))" in line
    assert contents(sphere_run) == before


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--lr", "0.5"], f"--lr {RunOptions().lr}, not 0.5"),
        (["--steps", "4"], "--steps 3, not 4"),
        (["--budget", "1m"], "--budget None, not 60.0"),
        (["--manifold", "torus"], "--manifold sphere, not torus"),
        (["--unit", "radians"], "--unit degrees, not radians"),
        (["--columns", "a,b"], "--columns"),
        (["--seed", "1", "--width", "5"], "--width 4, not 5; --seed 0, not 1"),
    ],
)
def test_resuming_with_other_options(refused: Refused, trained_sphere: Path, options: list[str], expected: str) -> None:
    before = contents(trained_sphere)
    line = refused("train", "--resume", "-o", trained_sphere, *options)
    assert expected in line
    assert "leave them out" in line
    assert contents(trained_sphere) == before


def test_resuming_on_other_data(refused: Refused, sphere_run: Path, places: Path) -> None:
    assert "data" in refused("train", "airports", "--resume", "-o", sphere_run)
    assert "data" in refused("train", places, "--resume", "-o", sphere_run)


def test_resuming_without_a_checkpoint(refused: Refused, sphere_run: Path) -> None:
    (sphere_run / "checkpoint.safetensors").unlink()
    assert "has no checkpoint.safetensors to go on from" in refused("train", "--resume", "-o", sphere_run)


def test_evaluating_on_points_of_another_manifold(refused: Refused, trained_torus: Path, places: Path) -> None:
    line = refused("evaluate", trained_torus, places)
    assert "has no column 'phi'" in line
    assert "airports is on the sphere" in refused("evaluate", trained_torus, "airports")
    assert "--split chooses" in refused("evaluate", trained_torus, places, "--split", "test")


def test_bad_numbers_of_samples_and_names_of_pictures(refused: Refused, trained_sphere: Path) -> None:
    assert "samples must be 1 or more, got 0" in refused("sample", trained_sphere, "-n", "0")
    assert ".png, .pdf, .svg" in refused("plot", trained_sphere, "-o", "picture.bmp")
    assert "resolution is 2" in refused("plot", trained_sphere, "--resolution", "2")


def test_an_unknown_command(refused: Refused) -> None:
    assert "Unknown command" in refused("trian")


def test_in_a_process_of_its_own(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rmatch", "train", "nowhere.csv", "-o", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "rmatch: error: no such file: nowhere.csv\n"


def test_a_mistake_in_rmatch_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, trained_sphere: Path) -> None:
    from rmatch.cli import main

    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("rmatch.training.run.draw", broken)
    with pytest.raises(ZeroDivisionError):
        main(["sample", str(trained_sphere)])
