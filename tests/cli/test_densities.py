"""`rmatch train --objective reverse-kl`: a flow that samples a density which the user wrote in a Python file."""

import csv
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import rmatch as rm
from rmatch.training import DensitySource, load_run

Refused = Callable[..., str]

ROOT = Path(__file__).resolve().parents[2]
TINY = ["--steps", "3", "--width", "4", "--depth", "1", "--batch-size", "8"]
REVERSE = ["train", "--objective", "reverse-kl"]
FILES = {"config.json", "model.safetensors", "checkpoint.safetensors", "metrics.jsonl", "samples.csv", "density.png"}

SOURCE = """
import math
import torch

slope = 2.0
two = torch.tensor([1.0, 2.0])

def tilted(x):  # on the sphere: exp(2 z), whose integral is 4π sinh(2)/2
    return slope * x[:, 2]

def lattice(angles):
    return (angles - angles.roll(1, -1)).cos().sum(-1)

class Ring:
    def __init__(self, strength=1.0):
        self.strength = strength

    def __call__(self, angles):
        return self.strength * lattice(angles)

def fails(x):
    raise KeyError("beta")

def wide(x):
    return x

def number(x):
    return 1.0

def nan(x):
    return torch.where(x[:, 2] > 0.9, math.nan, x[:, 2])

def infinite(x):
    return torch.where(x[:, 2] > 0.9, math.inf, x[:, 2])

def zero(x):
    return torch.where(x[:, 2] > 0.9, -math.inf, x[:, 2])

def steep(x):
    return (x[:, 2] - x[:, 2]).sqrt() + x[:, 2]

def late(x):  # only where few samples come
    return torch.where(x[:, 2] > 0.9999, math.nan, x[:, 2])

def detached(x):
    return x.detach().sum(-1)

def of_the_batch(x):
    return x[:, 2] - x[:, 2].mean()

def with_numpy(x):
    return torch.from_numpy(x.numpy().sum(-1))
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("densities") / "my.py"
    path.write_text(SOURCE)
    return path


def trained(file: Path, folder: Path, function: str, manifold: str) -> Path:
    from rmatch.cli import main

    assert main([*REVERSE, f"{file}:{function}", "--manifold", manifold, "-o", str(folder), *TINY]) == 0
    return folder


@pytest.fixture(scope="module")
def tilted(file: Path) -> Path:
    """A finished run on the sphere; not to be changed."""
    return trained(file, file.parent / "tilted", "tilted", "sphere:2")


@pytest.fixture(scope="module")
def ring(file: Path) -> Path:
    """A finished run on three angles, of an object that a call makes."""
    return trained(file, file.parent / "ring", "Ring(strength=0.5)", "torus:3")


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("fixture", ["tilted", "ring"])
def test_train_leaves_the_whole_folder(fixture: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(fixture)
    assert {path.name for path in folder.iterdir()} == FILES
    assert (folder / "density.png").read_bytes().startswith(b"\x89PNG")
    lines = metrics(folder)
    assert ["unnormalised_kl" in line for line in lines if line["kind"] == "validation"] == [True] * 3
    assert {"loss", "rate", "lr"} <= lines[0].keys()
    assert lines[-1]["kind"] == "evaluation"
    assert 0 < lines[-1]["ess"] <= 1


@pytest.mark.usefixtures("no_picture")
def test_train_shows_the_loss_and_then_the_effective_sample_size(rmatch: Any, file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    status, out, err = rmatch(*REVERSE, f"{file}:tilted", "--manifold", "sphere:2", "-o", folder, *TINY)
    assert status == 0
    assert "step 3/3 (100 %)  loss " in err
    assert "KL up to log Z" in err
    last = metrics(folder)[-1]
    assert f"effective sample size {100 * last['ess']:.1f} % ± " in out
    assert "of 10,000 samples" in out
    assert f"log Z {last['log_z']:.4f} ± {last['log_z_stderr']:.4f}" in out


def test_evaluate_finds_the_constant_within_its_standard_error(rmatch: Any, tilted: Path) -> None:
    """∫ exp(2 z) dA = 4π sinh(2)/2, also by a flow that has learned little."""
    found = json.loads(rmatch("evaluate", tilted, "--format", "json", "-n", "4000").out)
    assert list(found) == [
        *("ess", "ess_stderr", "log_z", "log_z_stderr", "kl", "kl_stderr", "unnormalised_kl", "unnormalised_kl_stderr"),
        *("n", "nfe", "constraint_violation"),
    ]
    wanted = math.log(4 * math.pi * math.sinh(2) / 2)
    assert abs(found["log_z"] - wanted) <= 4 * found["log_z_stderr"]
    assert found["log_z_stderr"] < 0.05
    assert found["kl"] == pytest.approx(found["unnormalised_kl"] + found["log_z"], abs=1e-9)
    assert found["n"] == 4000
    assert 0 <= found["constraint_violation"] < 1e-6
    last = metrics(tilted)[-1]
    assert rmatch("evaluate", tilted).out.startswith(f"effective sample size {100 * last['ess']:.1f} %")


def test_samples_are_the_entries_of_points(rmatch: Any, tilted: Path, ring: Path, tmp_path: Path) -> None:
    for folder, columns in ((tilted, ["x", "y", "z"]), (ring, ["angle1", "angle2", "angle3"])):
        target = tmp_path / "samples.csv"
        assert rmatch("sample", folder, "-n", "20", "-o", target).status == 0
        header, *body = csv.reader(target.read_text().splitlines())
        points = torch.tensor([[float(cell) for cell in row] for row in body])
        assert header == columns
        load_run(folder).manifold.require_point(points, tolerance=1e-5)
        assert rmatch("evaluate", folder, target).out.startswith("NLL ")  # a table from elsewhere can be scored


def test_plot_draws_the_flow_above_the_density(rmatch: Any, tilted: Path, tmp_path: Path) -> None:
    target = tmp_path / "picture.pdf"
    assert rmatch("plot", tilted, "-o", target, "--resolution", "8").out == f"wrote {target}\n"
    assert target.read_bytes().startswith(b"%PDF")


def test_the_run_is_a_flow_in_python(tilted: Path, file: Path) -> None:
    run = load_run(tilted)
    assert isinstance(run.config.data, DensitySource)
    assert (run.config.data.function, run.config.data.path) == ("tilted", str(file))
    assert run.flow.at(1.0).sample((5,)).shape == (5, 3)
    for look in (run.data, run.split):
        with pytest.raises(rm.OptionError, match=r"learned the density my.py:tilted: it has no rows"):
            look()


@pytest.mark.slow
@pytest.mark.usefixtures("no_picture")
def test_ctrl_c_leaves_a_checkpoint_from_which_the_same_bits_follow(rmatch: Any, file: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    options = ["--manifold", "sphere:2", "--steps", "40", "--width", "4", "--depth", "1", "--batch-size", "8"]
    command = [sys.executable, "-m", "rmatch", *REVERSE, f"{file}:tilted", "-o", str(broken), *options]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, cwd=ROOT
    )
    deadline = time.monotonic() + 60
    while not (broken / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.splitlines()[-1].endswith(f"go on with: rmatch train --resume -o {broken}")
    assert rmatch("train", "--resume", "-o", broken).status == 0
    assert rmatch(*REVERSE, f"{file}:tilted", "-o", whole, *options).status == 0
    ours, theirs = load_file(broken / "model.safetensors"), load_file(whole / "model.safetensors")
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    steps = [line["step"] for line in metrics(broken)]
    assert steps == sorted(steps)


def test_a_density_that_has_changed_is_refused_and_samples_need_none(
    rmatch: Any, refused: Refused, tmp_path: Path
) -> None:
    file = tmp_path / "my.py"
    file.write_text(SOURCE)
    folder = trained(file, tmp_path / "run", "tilted", "sphere:2")
    file.write_text(SOURCE.replace("def lattice", "def another"))  # what else is in the file does not matter
    assert rmatch("evaluate", folder, "-n", "50").status == 0
    file.write_text(SOURCE.replace("slope = 2.0", "slope = 2.1"))
    for command in (["evaluate", folder], ["plot", folder], ["train", "--resume", "-o", folder]):
        assert "my.py:tilted no longer is the density that this run learned" in refused(*command)
    file.unlink()
    assert f"no such file: {file}" in refused("evaluate", folder)
    assert rmatch("sample", folder, "-n", "3").status == 0


BAD: dict[str, tuple[str, str]] = {
    "fails": ("fails", "my.py:fails raised KeyError at points of shape (256, 3): 'beta'"),
    "wrong shape": ("wide", "my.py:wide returned shape (256, 3) at points of shape (256, 3)"),
    "no tensor": ("number", "my.py:number returned float, not a tensor"),
    "NaN": ("nan", "my.py:nan is nan at ["),
    "infinity": ("infinite", "my.py:infinite is inf at ["),
    "density 0": ("zero", "my.py:zero is -inf at ["),
    "derivative": ("steep", "the derivative of my.py:steep is not finite at ["),
    "detached": ("detached", "my.py:detached cannot be differentiated; compute it from the points by torch alone"),
    "of the batch": ("of_the_batch", "it must be the same function of each point, whatever else is in the batch"),
    "numpy": ("with_numpy", "my.py:with_numpy raised RuntimeError"),
    "a number": ("slope", "is of type float, not a function of points"),
    "a class": ("Ring", "is a class; make the function by calling it"),
    "a bad call": ("Ring(1, 2)", "cannot be made: TypeError"),
    "missing": ("titled", "has no 'titled'; did you mean 'tilted'?"),
    "no name": ("1 + 1", "write a name"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_density(refused: Refused, file: Path, tmp_path: Path, name: str) -> None:
    function, expected = BAD[name]
    folder = tmp_path / "runs" / "run"
    line = refused(*REVERSE, f"{file}:{function}", "--manifold", "sphere:2", "-o", folder, *TINY)
    assert expected in line
    assert not folder.parent.exists()


def test_a_density_that_fails_late_leaves_the_checkpoint(rmatch: Any, file: Path, tmp_path: Path) -> None:
    """It is NaN on a hundred-thousandth of the sphere, which thousands of samples find."""
    folder = tmp_path / "run"
    argv = [*REVERSE, f"{file}:late", "--manifold", "sphere:2", "-o", folder, "--steps", "60", "--width", "4"]
    status, out, err = rmatch(*argv, "--depth", "1", "--batch-size", "4000", "--seed", "1")
    assert (status, out) == (2, "")
    assert "rmatch: error: my.py:late is nan at [" in err.splitlines()[-1]
    assert (folder / "checkpoint.safetensors").exists()


@pytest.mark.parametrize(
    ("data", "options", "expected"),
    [
        ("my.py:tilted", [], "say what the points of the density lie on, for example --manifold sphere:2"),
        ("my.py:tilted", ["--manifold", "torus"], "say the size of torus, for example torus:2"),
        ("my.py:tilted", ["--manifold", "spere:2"], "did you mean 'sphere'?"),
        ("my.py:tilted", ["--manifold", "sphere:2:latlon"], "a density has no columns; say the manifold alone"),
        ("my.py:tilted", ["--manifold", "sphere:2", "--columns", "x,y,z"], "--columns is about tables"),
        ("my.py:tilted", ["--manifold", "sphere:2", "--unit", "degrees"], "--unit is about tables"),
        ("my.py", ["--manifold", "sphere:2"], "say which function of my.py to learn; there are: tilted, lattice"),
        ("your.py", ["--manifold", "sphere:2"], "no such file: your.py"),
        ("your.py:f", ["--manifold", "sphere:2"], "no such file: your.py"),
        ("airports", [], "learns a density, not 'airports'; write FILE.py:FUNCTION"),
        (None, ["--manifold", "sphere:2"], "say which density to learn: FILE.py:FUNCTION"),
    ],
)
def test_options_that_make_no_sense_for_a_density(
    refused: Refused, file: Path, monkeypatch: pytest.MonkeyPatch, data: str | None, options: list[str], expected: str
) -> None:
    monkeypatch.chdir(file.parent)
    before = {path.name for path in file.parent.iterdir()}
    assert expected in refused(*REVERSE, *([data] if data else []), "-o", "run", *TINY, *options)
    assert {path.name for path in file.parent.iterdir()} - before <= {"__pycache__"}


def test_a_function_without_the_objective_is_told_of_it(refused: Refused, file: Path, tmp_path: Path) -> None:
    line = refused("train", f"{file}:tilted", "--manifold", "sphere:2", "-o", tmp_path / "run")
    assert "is a function, not a table; learn its density by --objective reverse-kl" in line


def test_options_that_make_no_sense_for_a_run_of_a_density(
    refused: Refused, tilted: Path, trained_sphere: Path, file: Path
) -> None:
    assert "--split is about tables" in refused("evaluate", tilted, "--split", "test")
    assert "--columns is about tables" in refused("evaluate", tilted, "--columns", "x")
    assert "needs 20 samples or more, got 19" in refused("evaluate", tilted, "-n", "19")
    assert "--number is for runs that learned a density" in refused("evaluate", trained_sphere, "-n", "100")
    assert "--manifold sphere, not torus" in refused("train", "--resume", "-o", tilted, "--manifold", "torus:2")
    line = refused("train", f"{file}:lattice", "--resume", "-o", tilted)
    assert f"density {file}:tilted, not {file}:lattice" in line
    assert "--unit None, not degrees" in refused("train", "--resume", "-o", tilted, "--unit", "degrees")
    assert 'Invalid value "reverse-kl"' in refused("compare", "airports", "-o", "c", "--objectives", "reverse-kl")
