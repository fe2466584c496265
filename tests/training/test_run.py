"""The run folder: what it holds, and every way in which it can be wrong."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rmatch as rm
from rmatch.datasets import read_table, split
from rmatch.training import DataSource, Run, RunConfig, RunOptions, load_run
from rmatch.training.config import base_scale
from rmatch.training.metrics import MetricsLog
from rmatch.training.progress import ProgressBar, duration
from rmatch.training.report import Report
from rmatch.training.run import build_field, draw, holds_run, save_model, write_table

REPORT = Report(5, 10, 0.5, 0.25, 1e-3, 100.0, 2.0, 2.0)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "places.csv"
    rows = [f"{-80 + 4 * k},{9 * k - 170}" for k in range(40)]
    path.write_text("lat,lon\n" + "\n".join(rows) + "\n")
    return path


def make_run(folder: Path, table: Path, manifold: str = "sphere", **options: Any) -> RunConfig:
    """A folder with an untrained model."""
    data = read_table(table, manifold, unit="degrees")
    chosen = RunOptions(steps=1, width=4, depth=1, **options)
    parts = split(len(data), chosen.seed)
    field = rm.TangentMLP(data.manifold, 4, 1, feature_count=2)
    torch.nn.init.normal_(field.last.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    config = RunConfig(
        DataSource.of(data, table, None, "degrees"),
        data.coordinates,
        (len(parts.train), len(parts.validation), len(parts.test)),
        field.config,
        chosen,
        {"rmatch": rm.__version__},
    )
    folder.mkdir()
    config.write(folder)
    save_model(folder, config, field)
    return config


@pytest.fixture
def folder(tmp_path: Path, table: Path) -> Path:
    make_run(tmp_path / "run", table)
    return tmp_path / "run"


def test_a_run_comes_back_as_it_was(folder: Path, table: Path) -> None:
    run = load_run(folder)
    assert run.manifold == rm.Sphere(2)
    assert run.config == RunConfig.read(folder)
    assert run.coordinates.columns == ("lat", "lon")
    assert len(run.data()) == 40
    assert [len(part) for part in run.split()] == list(run.config.split) == [32, 4, 4]
    assert not run.field.training
    assert run.flow.at(1.0).log_prob(run.data().points[:1].float()).item() != -np.log(4 * np.pi)


def test_a_run_starts_from_the_uniform_law_unless_its_configuration_says_otherwise(folder: Path) -> None:
    assert isinstance(load_run(folder).flow.base, rm.Uniform)


@pytest.mark.parametrize("scale", [0.7, (0.7, 0.2)], ids=str)
def test_the_scale_of_a_wrapped_normal_base_comes_back(tmp_path: Path, table: Path, scale: Any) -> None:
    """One number, and one for each coordinate of the torus."""
    config = replace(make_run(tmp_path / "run", table, "torus"), base_scale=scale)
    config.write(tmp_path / "run")
    again = RunConfig.read(tmp_path / "run")
    assert again == config
    assert isinstance(again.base, rm.WrappedNormal)
    assert again.base.scale.tolist() == (list(scale) if isinstance(scale, tuple) else scale)
    assert torch.equal(again.base.mean, rm.Torus(2).origin())
    assert base_scale(again.base) == scale
    assert again.identity != replace(config, base_scale=None).identity


def test_a_base_of_another_law_cannot_be_stored() -> None:
    estimate = rm.KernelDensity(rm.Sphere(2), torch.eye(3), 0.4)
    with pytest.raises(rm.OptionError, match="uniform or a wrapped normal law, not from KernelDensity"):
        base_scale(estimate)


@pytest.mark.parametrize(
    ("base", "text"),
    [
        ({"name": "Cauchy"}, "the base 'Cauchy' is unknown"),
        ({"name": "WrappedNormal"}, "'scale' is missing"),
        ({"name": "WrappedNormal", "scale": "wide"}, "not 'wide'"),
        ({"name": "WrappedNormal", "scale": -1.0}, "positive number, got -1"),
        ({"name": "WrappedNormal", "scale": [1.0, 2.0, 3.0]}, "has shape"),
    ],
    ids=str,
)
def test_a_base_that_cannot_be_used_is_named(folder: Path, base: dict[str, Any], text: str) -> None:
    _change(folder, "base", value=base)
    with pytest.raises(rm.CheckpointError, match=text):
        load_run(folder)


def test_every_class_of_manifold_comes_back(tmp_path: Path, table: Path) -> None:
    make_run(tmp_path / "torus", table, "torus")
    assert load_run(tmp_path / "torus").manifold == rm.Torus(2)


def test_samples_depend_on_the_seed_only_and_lie_on_the_manifold(folder: Path) -> None:
    run = load_run(folder)
    a, b, c = draw(run, 7, seed=1), draw(run, 7, seed=1), draw(run, 7, seed=2)
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    run.manifold.require_point(a)
    with pytest.raises(rm.OptionError, match="samples must be 1 or more, got 0"):
        draw(run, 0, seed=1)
    with pytest.raises(rm.OptionError, match="seed"):
        draw(run, 1, seed=-1)


def test_a_written_table_reads_back_as_the_same_points(folder: Path, tmp_path: Path) -> None:
    run = load_run(folder)
    points = draw(run, 50, seed=0)
    write_table(tmp_path / "out.csv", run.coordinates, points)
    back = read_table(tmp_path / "out.csv", "sphere")
    assert back.columns == ("lat", "lon")
    assert (
        float(rm.Sphere(2).dist(points.double(), back.points).max()) < 2e-7
    )  # 6 decimals of a degree are 9e-9; float32 points are that far off the sphere


def _no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def _half_config(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(path.read_text()[:300])


def _change(folder: Path, *keys: str, value: Any) -> None:
    path = folder / "config.json"
    content = json.loads(path.read_text())
    place = content
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(json.dumps(content))


def _half_model(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (_no_config, r"not a run folder: it has no config\.json"),
        (_half_config, r"config\.json is damaged or cut short"),
        (lambda f: (f / "config.json").write_text(""), r"config\.json is damaged or cut short"),
        (lambda f: (f / "config.json").write_text("[1]"), "not the configuration of a run"),
        (lambda f: (f / "config.json").write_bytes(b"\xff\xfe\x00"), "damaged"),
        (lambda f: _change(f, "format", value=99), "another version"),
        (lambda f: _change(f, "data", value={}), "cannot be used"),
        (lambda f: _change(f, "data", value=None), "cannot be used"),
        (lambda f: _change(f, "coordinates", "kind", value="polar"), "cannot be used"),
        (lambda f: _change(f, "options", "warp", value=9), "warp"),
        (lambda f: _change(f, "options", "lr", value="fast"), "options cannot be used"),
        (
            lambda f: _change(f, "manifold", "name", value="Torus"),
            r"Torus\(2\), but its coordinates are on Sphere\(2\)",
        ),
        (lambda f: _change(f, "field", "width", value=5), r"does not fit the network .* shape"),
        (lambda f: _change(f, "field", "heads", value=5), "network cannot be built"),
        (lambda f: _change(f, "options", "lr", value=0.5), "belongs to another run"),
        (_half_model, r"model\.safetensors is damaged or cut short"),
        (lambda f: (f / "model.safetensors").unlink(), "no model at"),
        (lambda f: (f / "model.safetensors").rename(f / "checkpoint.safetensors"), "has not ended.*--resume"),
    ],
)
def test_a_spoilt_folder_is_named(folder: Path, spoil: Any, text: str) -> None:
    spoil(folder)
    with pytest.raises(rm.CheckpointError, match=text) as caught:
        load_run(folder)
    assert "\n" not in str(caught.value)


def test_a_missing_folder_and_a_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(rm.CheckpointError, match="no run folder"):
        load_run(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(rm.CheckpointError, match="no run folder"):
        load_run(tmp_path / "file")


def test_the_model_of_another_manifold_is_named(folder: Path, tmp_path: Path, table: Path) -> None:
    make_run(tmp_path / "torus", table, "torus")
    (tmp_path / "torus" / "model.safetensors").replace(folder / "model.safetensors")
    with pytest.raises(rm.CheckpointError, match=r"is of Torus\(2\), but config\.json beside it says Sphere\(2\)"):
        load_run(folder)


def test_data_that_changed_or_went_away_are_named(folder: Path, table: Path) -> None:
    run = load_run(folder)
    table.write_text(table.read_text().replace("-170", "-171"))
    with pytest.raises(rm.DataError, match="no longer holds the 40 points"):
        run.data()
    table.unlink()
    with pytest.raises(rm.DataError, match="no such file"):
        run.data()


def test_the_identity_tells_runs_apart_but_not_versions(folder: Path) -> None:
    config = RunConfig.read(folder)
    assert replace(config, versions={"rmatch": "9"}).identity == config.identity
    assert replace(config, options=replace(config.options, seed=1)).identity != config.identity


def test_a_network_that_cannot_be_built_is_named(folder: Path) -> None:
    config = replace(RunConfig.read(folder), field={"width": 0})
    with pytest.raises(rm.CheckpointError, match="width"):
        build_field(config)


def test_a_folder_holds_a_run_when_any_of_its_parts_is_there(folder: Path, tmp_path: Path) -> None:
    assert holds_run(folder)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    assert not holds_run(tmp_path / "other")
    (tmp_path / "other" / "checkpoint.safetensors").touch()
    assert holds_run(tmp_path / "other")


def test_a_run_needs_no_cli(folder: Path) -> None:
    assert isinstance(load_run(str(folder)), Run)


# ------------------------------------------------------------------------------------------------ options


def test_a_budget_takes_the_place_of_the_default_steps() -> None:
    assert RunOptions.of({"budget": 60.0, "lr": None}).steps is None
    assert RunOptions.of({}).steps == RunOptions().steps
    assert RunOptions.of({"steps": 7}).steps == 7


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"steps": 5, "budget": 5.0}, "not both"),
        ({"steps": 0}, "steps must be 1 or more, got 0"),
        ({"width": 0}, "width must be"),
        ({"depth": -1}, "depth must be"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"seed": -1}, "seed must be 0 or more"),
        ({"lr": -1.0}, "lr must be above 0"),
        ({"lr": float("nan")}, "lr must be above 0"),
    ],
)
def test_a_wrong_option_is_named(given: dict[str, Any], text: str) -> None:
    with pytest.raises(rm.OptionError, match=text):
        RunOptions.of(given)


# ------------------------------------------------------------------------------------------------ metrics, progress


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_metrics_are_json_lines(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl")
    log(REPORT)
    log(replace(REPORT, score=float("inf")))
    log.append("test", {"nll": 0.5})
    train, validation, test = lines(tmp_path / "metrics.jsonl")
    assert train == {"kind": "train", "step": 5, "seconds": 2.0, "loss": 0.25, "rate": 100.0, "lr": 0.001}
    assert validation == {"kind": "validation", "step": 5, "seconds": 2.0, "nll": None, "best": None}
    assert test == {"kind": "test", "nll": 0.5}


def test_metrics_of_a_long_training_stay_short(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl")
    for k in range(5001):
        log(replace(REPORT, step=k, progress=k / 5000))
    assert 450 < len(lines(tmp_path / "metrics.jsonl")) <= 502


def test_metrics_after_the_step_of_a_resume_are_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path)
    for k in (1, 2, 3):
        log(replace(REPORT, step=k, progress=k / 3))
    log.append("test", {"nll": 1.0})
    with path.open("a") as file:
        file.write('{"kind": "tr')  # killed while it wrote
    MetricsLog(path, after=2)
    assert [line["step"] for line in lines(path)] == [1, 2]
    MetricsLog(path)
    assert path.read_text() == ""


def test_metrics_on_a_full_disk_are_a_named_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rmatch.training.metrics._write", full)
    with pytest.raises(rm.OutputError, match=r"metrics\.jsonl: No space left on device"):
        log(REPORT)


class Terminal:
    """A file that says it is a terminal."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_with_loss_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    terminal: Any = Terminal()
    with ProgressBar(terminal, score_name="validation NLL") as bar:
        bar(replace(REPORT, best=1.25))
    assert "50%" in terminal.text
    assert "loss 0.2500  100 steps/s  0:02 left  validation NLL 1.250" in terminal.text


def test_elsewhere_a_line_comes_at_the_beginning_and_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar() as bar:
        for step in range(11):
            bar(replace(REPORT, step=step, progress=step / 10))
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("step 0/10 (0 %)")
    assert last.startswith("step 10/10 (100 %)")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0:00"), (59.7, "1:00"), (7260, "2:01:00"), (float("inf"), "99:59:59")]
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text
