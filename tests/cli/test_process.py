"""What only a process of its own can show: Ctrl-C, a closed pipe, and how fast the help comes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[2]


def write_table(path: Path) -> Path:
    noise = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    path.write_text("latitude,longitude\n" + "".join(f"{20 + 10 * a},{40 + 10 * b}\n" for a, b in noise.tolist()))
    return path


@pytest.mark.usefixtures("no_picture")
def test_ctrl_c_leaves_a_checkpoint_from_which_the_same_bits_follow(rmatch: Any, tmp_path: Path) -> None:
    table, whole, broken = write_table(tmp_path / "places.csv"), tmp_path / "whole", tmp_path / "broken"
    options = ["--manifold", "sphere", "--steps", "800", "--width", "4", "--depth", "1", "--batch-size", "8"]
    command = [sys.executable, "-m", "rmatch", "train", str(table), "-o", str(broken), *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    )
    deadline = time.monotonic() + 60
    while not (broken / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert err.splitlines()[-1].startswith("rmatch: interrupted at step ")
    assert err.splitlines()[-1].endswith(f"go on with: rmatch train --resume -o {broken}")
    assert "Traceback" not in err

    assert rmatch("train", "--resume", "-o", broken).status == 0
    assert rmatch("train", table, "-o", whole, *options).status == 0
    ours, theirs = load_file(broken / "model.safetensors"), load_file(whole / "model.safetensors")
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    steps = [json.loads(line)["step"] for line in (broken / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)
    assert steps[0] == 1  # what was written before the interrupt is kept
    assert steps[-1] <= 800


def test_the_help_needs_no_torch() -> None:
    code = "import sys; from rmatch.cli import main; main(['train', '--help']); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
