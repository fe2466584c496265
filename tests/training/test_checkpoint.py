"""Checkpoints: interrupted and resumed is the same, to the last bit, as never interrupted; damage is named."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import rmatch as rm
from rmatch.training._storage import read_tensors, write_tensors

M = rm.Sphere(2)
OBJECTIVE = rm.FlowMatching(rm.GeodesicPath(M), base=rm.Uniform(M))


class Stopping:
    """Flow matching that sends this process Ctrl-C in the middle of its n-th step."""

    def __init__(self, n: int, number: signal.Signals = signal.SIGINT) -> None:
        self.left, self.number = n, number

    def __call__(self, field: Any, x1: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        self.left -= torch.is_grad_enabled()  # a score is no step
        if self.left == 0 and torch.is_grad_enabled():
            os.kill(os.getpid(), self.number)
        return OBJECTIVE(field, x1, generator)


Stopping.__qualname__ = type(OBJECTIVE).__qualname__  # a checkpoint may look at what made it


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    theirs = b.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in a.state_dict().items())


@pytest.mark.parametrize("stop", [1, 2, 3, 5, 7, 11])
@pytest.mark.parametrize("scored", [False, True])
def test_resuming_after_any_step_gives_the_bits_of_an_uninterrupted_run(
    small_fit: Any, points: torch.Tensor, tmp_path: Path, stop: int, scored: bool
) -> None:
    options: dict[str, Any] = {"validation": points[:9], "score_every": 3} if scored else {}
    whole, expected = small_fit(**options)
    path = tmp_path / "checkpoint.safetensors"
    _, first = small_fit(Stopping(stop), checkpoint=path, **options)
    assert first.interrupted
    assert first.steps == stop
    field, second = small_fit(field_seed=77, checkpoint=path, resume=True, **options)
    assert same(field, whole)
    assert not second.interrupted
    assert (second.steps, second.score, second.best_step) == (12, expected.score, expected.best_step)


def test_two_interrupts_are_as_good_as_one(small_fit: Any, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    small_fit(Stopping(4), checkpoint=path)
    small_fit(Stopping(3, signal.SIGTERM), checkpoint=path, resume=True)
    field, result = small_fit(checkpoint=path, resume=True)
    assert result.steps == 12
    assert same(field, small_fit()[0])


def test_the_optimiser_goes_on_with_its_moments(small_fit: Any, tmp_path: Path) -> None:
    """A weight that the loss ignores has no moments; its absence must survive the file too."""

    def objective(field: Any, x1: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        return (field.last.weight - 1).square().sum()

    path = tmp_path / "checkpoint"
    whole, _ = small_fit(objective, weight_decay=0.1)
    calls = 0

    def stopping(field: Any, x1: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return objective(field, x1)

    small_fit(stopping, weight_decay=0.1, checkpoint=path)
    assert same(small_fit(objective, weight_decay=0.1, checkpoint=path, resume=True)[0], whole)


def test_an_interrupt_in_the_last_step_is_a_finished_training(small_fit: Any, tmp_path: Path) -> None:
    _, result = small_fit(Stopping(12), checkpoint=tmp_path / "checkpoint")
    assert not result.interrupted


def test_resuming_a_finished_training_returns_its_field(small_fit: Any, points: torch.Tensor, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    options: dict[str, Any] = {"checkpoint": path, "validation": points}
    whole, first = small_fit(**options)
    field, second = small_fit(field_seed=5, resume=True, **options)
    assert same(field, whole)
    assert (second.steps, second.score) == (first.steps, first.score)


def test_without_a_checkpoint_ctrl_c_is_the_usual_exception(small_fit: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        small_fit(Stopping(3))


def test_a_budget_goes_on_with_the_time_that_is_left(small_fit: Any, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    begin = time.perf_counter()

    class Late(Stopping):
        def __call__(self, field: Any, x1: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
            self.left = 1 if time.perf_counter() - begin > 1.0 else 9
            return super().__call__(field, x1, generator)

    Late.__qualname__ = Stopping.__qualname__
    _, first = small_fit(Late(9), budget=1.5, checkpoint=path)
    assert first.interrupted
    assert 0.8 < first.seconds < 1.5
    begin = time.perf_counter()
    _, second = small_fit(budget=1.5, checkpoint=path, resume=True)
    assert time.perf_counter() - begin < 1.0
    assert second.steps > first.steps
    assert second.seconds >= 1.5


def test_the_checkpoint_is_written_after_the_first_step(small_fit: Any, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    found: list[bool] = []
    small_fit(checkpoint=path, progress=lambda report: found.append(path.exists()))
    assert found[0]


@pytest.fixture
def checkpoint(small_fit: Any, tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint.safetensors"
    small_fit(Stopping(5), checkpoint=path)
    return path


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99, 0.9999])
def test_a_checkpoint_cut_short_is_named(small_fit: Any, checkpoint: Path, share: float) -> None:
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[: int(share * len(content))])
    with pytest.raises(rm.CheckpointError, match=r"checkpoint\.safetensors is damaged or cut short"):
        small_fit(checkpoint=checkpoint, resume=True)


@pytest.mark.parametrize("place", [0.3, 0.6, 0.95])
def test_a_changed_byte_is_noticed(small_fit: Any, checkpoint: Path, place: float) -> None:
    content = bytearray(checkpoint.read_bytes())
    content[int(place * len(content))] ^= 0x40
    checkpoint.write_bytes(content)
    with pytest.raises(rm.CheckpointError, match="damaged"):
        small_fit(checkpoint=checkpoint, resume=True)


def test_a_missing_checkpoint_is_named(small_fit: Any, tmp_path: Path) -> None:
    with pytest.raises(rm.CheckpointError, match="no checkpoint at"):
        small_fit(checkpoint=tmp_path / "nowhere", resume=True)


def test_another_safetensors_file_is_no_checkpoint(small_fit: Any, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.ones(2)}, tmp_path / "other")
    with pytest.raises(rm.CheckpointError, match="not a checkpoint that rmatch wrote"):
        small_fit(checkpoint=tmp_path / "other", resume=True)
    write_tensors(tmp_path / "other", {"a": torch.ones(2)}, {"run": "x"})
    with pytest.raises(rm.CheckpointError, match="no checkpoint of fit"):
        small_fit(checkpoint=tmp_path / "other", resume=True)


def test_a_checkpoint_of_another_manifold_is_named(checkpoint: Path) -> None:
    torus = rm.Torus(3)
    field = rm.TangentMLP(torus, width=8, depth=1, feature_count=4)
    objective = rm.FlowMatching(rm.GeodesicPath(torus), base=rm.Uniform(torus))
    with pytest.raises(rm.CheckpointError, match=r"another manifold \(Sphere\(2\)\) than this training \(Torus\(3\)\)"):
        rm.fit(field, objective, torch.ones(53, 3), steps=12, checkpoint=checkpoint, resume=True)


def test_a_checkpoint_of_another_network_or_other_points_is_named(checkpoint: Path, points: torch.Tensor) -> None:
    wide = rm.TangentMLP(M, width=9, depth=1, feature_count=4)
    with pytest.raises(rm.CheckpointError, match="another network"):
        rm.fit(wide, OBJECTIVE, points, steps=12, checkpoint=checkpoint, resume=True)
    narrow = rm.TangentMLP(M, width=8, depth=1, feature_count=4)
    with pytest.raises(rm.CheckpointError, match="training points"):
        rm.fit(narrow, OBJECTIVE, points.roll(1, 0), steps=12, checkpoint=checkpoint, resume=True)


@pytest.mark.parametrize("options", [{"lr": 0.5}, {"steps": 13}, {"seed": 4}, {"batch_size": 21}, {"ema": 0.5}])
def test_resuming_with_other_options_is_refused(small_fit: Any, checkpoint: Path, options: dict[str, Any]) -> None:
    before = checkpoint.read_bytes()
    name = next(iter(options))
    with pytest.raises(rm.OptionError, match=f"made with {name}="):
        small_fit(checkpoint=checkpoint, resume=True, **options)
    assert checkpoint.read_bytes() == before


def test_a_full_disk_leaves_the_checkpoint_before(
    small_fit: Any, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = checkpoint.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(rm.OutputError, match=r"checkpoint\.safetensors: No space left on device"):
        small_fit(checkpoint=checkpoint, resume=True)
    assert checkpoint.read_bytes() == before
    assert list(checkpoint.parent.iterdir()) == [checkpoint]
    monkeypatch.undo()
    assert small_fit(checkpoint=checkpoint, resume=True)[1].steps == 12


@pytest.mark.parametrize(
    "tensor",
    [torch.tensor(1.5), torch.zeros(0, 3), torch.arange(4, dtype=torch.uint8), torch.ones(2, 3, dtype=torch.bfloat16)],
)
def test_tensors_of_any_shape_and_dtype_come_back(tmp_path: Path, tensor: torch.Tensor) -> None:
    write_tensors(tmp_path / "file", {"a": tensor, "b": tensor.mT if tensor.dim() > 1 else tensor}, {"k": [1, None]})
    tensors, facts = read_tensors(tmp_path / "file", "file")
    assert torch.equal(tensors["a"], tensor)
    assert tensors["a"].dtype == tensor.dtype
    assert facts == {"k": [1, None]}


def test_the_same_content_is_the_same_bytes(tmp_path: Path) -> None:
    tensors = {name: torch.full((3,), float(k)) for k, name in enumerate("abcdef")}
    for name in ("one", "two"):
        write_tensors(tmp_path / name, tensors, {"x": 1, "y": 2})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
