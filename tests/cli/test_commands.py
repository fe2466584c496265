"""The commands doing their work."""

import csv
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import rmatch as rm
from rmatch.cli._request import parse_budget
from rmatch.training import RunOptions, load_run

TINY = ["--steps", "3", "--width", "4", "--depth", "1", "--batch-size", "8"]
FILES = {"config.json", "model.safetensors", "checkpoint.safetensors", "metrics.jsonl", "samples.csv", "density.png"}


def read_csv(path: Path) -> tuple[list[str], list[list[float]]]:
    header, *body = csv.reader(path.read_text().splitlines())
    return header, [[float(cell) for cell in row] for row in body]


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("fixture", ["trained_sphere", "trained_torus"])
def test_train_leaves_the_whole_folder(fixture: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(fixture)
    assert {path.name for path in folder.iterdir()} == FILES
    assert (folder / "density.png").read_bytes().startswith(b"\x89PNG")
    kinds = [line["kind"] for line in metrics(folder)]
    assert kinds[0] == "train"
    assert kinds[-1] == "test"
    assert kinds.count("validation") == 3
    config = json.loads((folder / "config.json").read_text())
    assert config["options"]["steps"] == 3
    assert config["versions"]["rmatch"] == rm.__version__


@pytest.mark.usefixtures("no_picture")
def test_train_prints_the_score_beside_those_of_the_baselines(rmatch: Any, places: Path, tmp_path: Path) -> None:
    status, out, err = rmatch("train", places, "--manifold", "sphere", "-o", tmp_path / "run", *TINY)
    assert status == 0
    last = metrics(tmp_path / "run")[-1]
    assert f"flow                    {last['nll']:>8.3f} ± {last['nll_stderr']:.3f}" in out
    assert f"kernel density estimate {last['kernel_density_nll']:>8.3f} ±" in out
    assert f"uniform density         {math.log(4 * math.pi):>8.3f}" in out
    assert "6 held-out test rows" in out
    assert "note:" not in out
    assert "step 3/3 (100 %)  loss" in err


@pytest.mark.usefixtures("no_picture")
def test_train_tells_of_rows_at_the_same_place(rmatch: Any, places: Path, tmp_path: Path) -> None:
    table = tmp_path / "twice.csv"
    text = places.read_text()
    table.write_text(text + "".join(text.splitlines(keepends=True)[2:12]))
    out = rmatch("train", table, "--manifold", "sphere", "-o", tmp_path / "run", *TINY).out
    assert "note: 20 of 70 rows stand exactly where another row stands" in out


def test_train_without_matplotlib_says_how_to_get_the_picture(
    rmatch: Any, places: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    folder = tmp_path / "run"
    status, out, err = rmatch("train", places, "--manifold", "sphere", "-o", folder, *TINY)
    assert status == 0
    assert f'pip install "rmatch[plot]", then: rmatch plot {folder}' in err.splitlines()[-1]
    assert {path.name for path in folder.iterdir()} == FILES - {"density.png"}
    assert "density.png" not in out


@pytest.mark.usefixtures("no_picture")
def test_options_come_from_the_file_and_the_command_line_comes_first(rmatch: Any, places: Path, tmp_path: Path) -> None:
    config = tmp_path / "options.toml"
    config.write_text(
        f'data = "{places}"\nmanifold = "sphere"\nbudget = "5m"\nbatch-size = 7\nwidth = 5\ndepth = 1\nema = 0.5\n'
        'columns = ["latitude", "longitude"]\n'
    )
    folder = tmp_path / "run"
    assert rmatch("train", "-o", folder, "--config", config, "--steps", "2", "--width", "6").status == 0
    options = json.loads((folder / "config.json").read_text())["options"]
    assert (options["steps"], options["budget"]) == (2, None)
    assert (options["width"], options["depth"], options["batch_size"], options["ema"]) == (6, 1, 7, 0.5)


@pytest.mark.usefixtures("no_picture")
def test_train_by_a_budget(rmatch: Any, places: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    argv = ["train", places, "--manifold", "sphere", "-o", folder, "--budget", "0.5s", "--width", "4", "--depth", "1"]
    assert rmatch(*argv).status == 0
    assert json.loads((folder / "config.json").read_text())["options"]["steps"] is None


@pytest.mark.usefixtures("no_picture")
def test_overwrite_replaces_the_run(rmatch: Any, sphere_run: Path, places: Path) -> None:
    argv = ["train", places, "--manifold", "sphere", "-o", sphere_run, *TINY]
    assert rmatch(*argv, "--seed", "5", "--overwrite").status == 0
    assert {path.name for path in sphere_run.iterdir()} == FILES - {"density.png"}  # the old one is gone
    assert load_run(sphere_run).config.options.seed == 5
    assert [line["kind"] for line in metrics(sphere_run)].count("test") == 1


@pytest.mark.usefixtures("no_picture")
def test_a_folder_with_other_files_is_used_and_they_stay(rmatch: Any, places: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    assert rmatch("train", places, "--manifold", "sphere", "-o", folder, *TINY).status == 0
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.usefixtures("no_picture")
def test_resuming_a_finished_run_changes_nothing_but_the_last_line(rmatch: Any, sphere_run: Path) -> None:
    before = (sphere_run / "model.safetensors").read_bytes()
    assert rmatch("train", "--resume", "-o", sphere_run).status == 0
    assert (sphere_run / "model.safetensors").read_bytes() == before
    assert metrics(sphere_run)[-1]["kind"] == "test"


def test_samples_are_in_the_columns_and_units_of_the_table(rmatch: Any, trained_sphere: Path, tmp_path: Path) -> None:
    target = tmp_path / "samples.csv"
    assert rmatch("sample", trained_sphere, "-n", "25", "-o", target).status == 0
    header, body = read_csv(target)
    assert header == ["latitude", "longitude"]
    assert len(body) == 25
    assert max(abs(latitude) for latitude, _ in body) > 2  # degrees
    _, left = read_csv(trained_sphere / "samples.csv")
    assert len(left) == 1000
    torch.testing.assert_close(torch.tensor(body), torch.tensor(body).clamp(-180, 180))


def test_torus_samples_keep_the_range_of_the_table(rmatch: Any, trained_torus: Path) -> None:
    out = rmatch("sample", trained_torus, "-n", "40").out
    header, *body = csv.reader(out.splitlines())
    values = [float(cell) for row in body for cell in row]
    assert header == ["phi", "psi"]
    assert len(body) == 40
    assert min(values) >= 0
    assert 180 < max(values) < 360


def test_samples_depend_on_the_seed(rmatch: Any, trained_torus: Path) -> None:
    a, b, c = (rmatch("sample", trained_torus, "-n", "3", "--seed", seed).out for seed in (1, 1, 2))
    assert a == b != c


def test_evaluate_prints_score_cost_and_violation(rmatch: Any, trained_sphere: Path) -> None:
    last = metrics(trained_sphere)[-1]
    out = rmatch("evaluate", trained_sphere, "--split", "test").out
    assert f"NLL {last['nll']:.3f} ± {last['nll_stderr']:.3f} nats per row over 6 test rows" in out
    assert f"field evaluations {last['nfe']}, largest constraint violation" in out


def test_evaluate_as_json(rmatch: Any, trained_sphere: Path) -> None:
    last = metrics(trained_sphere)[-1]
    found = json.loads(rmatch("evaluate", trained_sphere, "--format", "json").out)
    assert list(found) == ["nll", "nll_stderr", "n", "nfe", "constraint_violation"]
    assert found == {name: last[name] for name in found}
    assert found["n"] == 6
    assert 0 <= found["constraint_violation"] < 1e-6
    train = json.loads(rmatch("evaluate", trained_sphere, "--split", "train", "--format", "json").out)
    assert train["n"] == 48


def test_evaluate_on_a_table(rmatch: Any, trained_sphere: Path, tmp_path: Path) -> None:
    table = tmp_path / "one.csv"
    table.write_text("longitude,latitude\n40,20\n")
    found = json.loads(rmatch("evaluate", trained_sphere, table, "--format", "json").out)
    assert found["n"] == 1
    assert found["nll_stderr"] is None
    run = load_run(trained_sphere)
    point = run.coordinates.to_points([[20.0, 40.0]]).float()
    assert found["nll"] == pytest.approx(-run.flow.at(1.0).log_prob(point).item(), abs=1e-3)
    table.write_text("a,b\n40,20\n")
    assert rmatch("evaluate", trained_sphere, table, "--columns", "b,a").out.startswith(f"NLL {found['nll']:.3f} nats")


def test_evaluate_on_built_in_data(rmatch: Any, trained_sphere: Path) -> None:
    assert json.loads(rmatch("evaluate", trained_sphere, "airports", "--format", "json").out)["n"] > 7000


@pytest.mark.parametrize("fixture", ["trained_sphere", "trained_torus"])
def test_plot_writes_where_it_is_told(
    rmatch: Any, fixture: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder: Path = request.getfixturevalue(fixture)
    target = tmp_path / "picture.pdf"
    outcome = rmatch("plot", folder, "-o", target, "--resolution", "8")
    assert outcome.out == f"wrote {target}\n"
    assert target.read_bytes().startswith(b"%PDF")


def test_datasets_lists_rows_source_and_licence(rmatch: Any) -> None:
    out = rmatch("datasets").out
    assert "airports: 7,884 points on Sphere(2)" in out
    assert "licence: MIT" in out
    listed = json.loads(rmatch("datasets", "--format", "json").out)
    assert [(entry["name"], entry["manifold"]) for entry in listed] == [
        ("airports", "Sphere(2)"),
        ("ramachandran", "Torus(2)"),
    ]


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("5m", 300), ("1.5h", 5400), (".5m", 30), (12, 12)])
def test_times_are_understood(text: str, seconds: float) -> None:
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("command", [[], ["train"], ["sample"], ["evaluate"], ["plot"], ["datasets"]])
def test_every_help_shows_an_example(rmatch: Any, command: list[str]) -> None:
    status, out, _ = rmatch(*command, "--help")
    assert status == 0
    assert " ".join(["rmatch", *(command or ["train"])]) in out


def test_the_help_tells_the_true_defaults(rmatch: Any) -> None:
    text = " ".join(rmatch("train", "--help").out.replace("│", " ").split())
    options, own = RunOptions(), RunOptions.of({"objective": "reverse-kl"})
    for words in (
        f"steps to train; {options.steps} by default, {own.steps} for a density",
        f"Points in a batch; {options.batch_size} by default, {own.batch_size} for a density",
        f"learning rate; {options.lr:g} by default, {own.lr:g} for a density",
        f"hidden layer; {options.width} by default, {own.width} for a density",
        f"hidden layers; {options.depth} by default, {own.depth} for a density",
        f"{options.device} (the default)",
    ):
        assert words in text


def test_the_version_is_the_packages(rmatch: Any) -> None:
    assert rmatch("--version").out == f"{rm.__version__}\n"


@pytest.mark.usefixtures("no_picture")
@pytest.mark.parametrize("objective", ["flow", "score", "kl"])
def test_every_objective_trains_a_flow_that_can_be_sampled_and_scored(
    objective: str, rmatch: Any, places: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    status, _, err = rmatch("train", places, "--manifold", "sphere", "-o", folder, *TINY, "--objective", objective)
    assert status == 0, err
    run = load_run(folder)
    assert run.config.options.objective == objective
    assert (type(run.flow.field) is rm.ProbabilityFlow) == (objective == "score")
    assert rmatch("sample", folder, "-n", 5, "-o", tmp_path / "samples.csv").status == 0
    out = json.loads(rmatch("evaluate", folder, "--format", "json").out)
    with torch.no_grad():
        test = run.data().points[run.split().test]
        assert out["nll"] == pytest.approx(-float(run.flow.log_prob(1.0, test).mean()), abs=1e-3)


def test_an_unknown_objective_is_refused(rmatch: Any, refused: Any, places: Path, tmp_path: Path) -> None:
    assert "adversarial" in refused("train", places, "-o", tmp_path / "run", "--objective", "adversarial")
    config = tmp_path / "options.toml"
    config.write_text('objective = "adversarial"\n')
    line = refused("train", places, "--manifold", "sphere", "-o", tmp_path / "run", "--config", config)
    assert "unknown objective 'adversarial'; use one of flow, score, kl" in line
