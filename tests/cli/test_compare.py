"""`rmatch compare`: one page about several trainings, and nothing half done."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

TINY = ["--budget", "0.2s", "--width", "4", "--depth", "1", "--batch-size", "8"]
FILES = {"comparison.html", "comparison.png", "comparison.json"}
ROOT = Path(__file__).resolve().parents[2]

Refused = Callable[..., str]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished comparison of all objectives; not to be changed."""
    from rmatch.cli import main

    home = tmp_path_factory.mktemp("compare")
    noise = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    table = home / "places.csv"
    table.write_text("latitude,longitude\n" + "".join(f"{20 + 10 * a},{40 + 10 * b}\n" for a, b in noise.tolist()))
    assert main(["compare", str(table), "--manifold", "sphere", "-o", str(home / "out"), *TINY]) == 0
    return home / "out"


def test_the_folder_holds_three_files_and_the_page_its_picture(compared: Path) -> None:
    assert {path.name for path in compared.iterdir()} == FILES
    assert {path.name for path in compared.parent.iterdir()} == {"out", "places.csv"}  # nothing temporary is left
    picture = (compared / "comparison.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    page = (compared / "comparison.html").read_text()
    inside = re.search(r"data:image/png;base64,([^\"]+)", page)
    assert inside is not None
    assert base64.b64decode(inside[1]) == picture
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    for words in ("flow matching", "score matching", "maximum likelihood", "kernel density", "Where each one fails"):
        assert words in page


def test_the_numbers_are_those_of_the_same_network_on_the_same_rows(compared: Path) -> None:
    numbers = json.loads((compared / "comparison.json").read_text())
    assert [one["objective"] for one in numbers["objectives"]] == ["flow", "score", "kl"]
    assert numbers["options"]["budget"] == 0.2
    assert numbers["rows"] == 60
    for one in numbers["objectives"]:
        assert one["test"]["n"] == 6
        assert one["steps"] >= 1
        assert one["milliseconds_per_step"] > 0
        assert 0 <= one["samples_astray"] <= 1
        assert [score["seconds"] for score in one["curve"]] == sorted(score["seconds"] for score in one["curve"])
    for pair in numbers["pairings"]:
        assert pair["integrated"]["kl_start"] == 0  # both begin with the uniform law
        assert len(pair["over_time"]["kl_rate"]) == len(pair["t"]) == 9
    assert len(numbers["pairings"]) == 2


def test_only_what_is_asked_for_is_compared(rmatch: Any, places: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    command = ["compare", places, "--manifold", "sphere", "--objectives", "score", "-o", folder, *TINY]
    status, out, err = rmatch(*command)
    assert status == 0
    assert "score matching  " in out
    assert "uniform density            2.531" in out
    assert "flow matching" not in out + err
    numbers = json.loads((folder / "comparison.json").read_text())
    assert numbers["pairings"] == []
    (folder / "notes.txt").write_text("mine")
    before = (folder / "comparison.json").read_bytes()
    assert rmatch(*command, "--overwrite").status == 0
    assert (folder / "comparison.json").read_bytes() != before
    assert {path.name for path in folder.iterdir()} == FILES | {"notes.txt"}


def test_where_no_heat_kernel_is_known_score_matching_is_left_out(
    rmatch: Any, tmp_path: Path, refused: Refused
) -> None:
    table = tmp_path / "matrices.csv"
    noise = torch.rand(40, 3, generator=torch.Generator().manual_seed(0))
    table.write_text("a,b,c\n" + "".join(f"{1 + a},{b / 2},{1 + c}\n" for a, b, c in noise.tolist()))
    command = ["compare", table, "--manifold", "spd", "-o", tmp_path / "out", *TINY]
    line = refused(*command, "--objectives", "score", "flow")
    assert "no heat kernel is known" in line
    assert not (tmp_path / "out").exists()
    status, out, err = rmatch(*command)
    assert status == 0
    assert "score matching is left out: no heat kernel is known" in err
    assert "flow matching  " in out
    assert "score matching  " not in out
    assert "maximum likelihood  " in out


def test_bad_input_is_one_line(refused: Refused, places: Path, tmp_path: Path, compared: Path) -> None:
    folder = tmp_path / "out"
    command = ["compare", places, "--manifold", "sphere", *TINY]
    before = {path.name: path.read_bytes() for path in compared.iterdir()}
    assert "already holds a comparison; replace it by --overwrite" in refused(*command, "-o", compared)
    assert {path.name: path.read_bytes() for path in compared.iterdir()} == before
    assert "is a file; name a folder" in refused(*command, "-o", places)
    assert "cannot make the folder" in refused(*command, "-o", places / "out")
    assert "--output" in refused(*command)
    assert "entropy" in refused(*command, "-o", folder, "--objectives", "entropy")
    assert "is not a time" in refused("compare", places, "--manifold", "sphere", "-o", folder, "--budget", "soon")
    assert "say what the points of" in refused("compare", places, "-o", folder)
    assert "width must be 1 or more" in refused(*command[:4], "-o", folder, "--width", "0")
    assert not folder.exists()


def test_without_matplotlib_it_says_so_before_the_training(
    refused: Refused, places: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    line = refused("compare", places, "--manifold", "sphere", "-o", tmp_path / "out", *TINY)
    assert 'pip install "rmatch[plot]"' in line


def test_ctrl_c_leaves_nothing(places: Path, tmp_path: Path) -> None:
    room = tmp_path / "home"
    command = [sys.executable, "-m", "rmatch", "compare", str(places), "--manifold", "sphere", "-o", str(room / "out")]
    process = subprocess.Popen(
        [*command, "--budget", "60s"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=ROOT,
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("training by flow matching")
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert err.splitlines()[-1] == "rmatch: interrupted"
    assert "Traceback" not in err
    assert list(room.iterdir()) == []
