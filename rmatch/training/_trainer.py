"""The state of a training, one step of it, and its checkpoint."""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from rmatch._errors import CheckpointError, OptionError, TrainingError
from rmatch.manifolds import Manifold
from rmatch.training._batches import Batches
from rmatch.training._schedule import average_decay, learning_rate_factor
from rmatch.training._storage import checksum, read_tensors, write_tensors

_FORMAT = 1
# Looking at a loss waits for the device: at every step on a CPU, which computes at once, and rarely elsewhere.
_CHECK_EVERY = 20


class Objective(Protocol):
    """What is minimised: a differentiable scalar from a field, a batch of data and a source of randomness."""

    def __call__(self, field: Any, x1: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The loss of the field on the batch."""
        ...


@dataclass(frozen=True)
class FitOptions:
    """The options of `fit` that decide its result; stored in the checkpoint."""

    steps: int | None
    budget: float | None
    batch_size: int
    lr: float
    seed: int
    warmup: float
    clip: float
    weight_decay: float
    ema: float
    score_every: int | None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.budget is None):
            raise OptionError("say how long to train: either steps or budget (seconds), and not both")
        ranges: list[tuple[str, float | None, bool, str]] = [
            ("steps", self.steps, self.steps is None or self.steps >= 1, "1 or more"),
            ("budget", self.budget, self.budget is None or 0 < self.budget < math.inf, "a number of seconds above 0"),
            ("batch_size", self.batch_size, self.batch_size >= 1, "1 or more"),
            ("lr", self.lr, 0 < self.lr < math.inf, "above 0"),
            ("seed", self.seed, 0 <= self.seed < 2**62, "0 or larger, and less than 2**62"),
            ("warmup", self.warmup, 0 <= self.warmup < 1, "a fraction of the training in [0, 1)"),
            ("clip", self.clip, self.clip > 0, "above 0 (math.inf for none)"),
            ("weight_decay", self.weight_decay, 0 <= self.weight_decay < math.inf, "0 or more"),
            ("ema", self.ema, 0 <= self.ema < 1, "in [0, 1)"),
            ("score_every", self.score_every, self.score_every is None or self.score_every >= 1, "1 or more"),
        ]
        for name, value, good, wanted in ranges:
            if not good:
                raise OptionError(f"{name} must be {wanted}, got {value}")


class Trainer:
    """A field, its optimiser, the running average of its weights, and where in the data and the noise it is."""

    def __init__(self, field: nn.Module, objective: Objective, x1: Tensor, options: FitOptions) -> None:
        self.field, self.objective, self.options = field, objective, options
        self.named = {name: p for name, p in field.named_parameters() if p.requires_grad}
        self.parameters = list(self.named.values())
        if not self.parameters:
            raise OptionError(f"{type(field).__name__} has no parameters to train")
        like = self.parameters[0]
        self.x1 = x1.detach().to(like.device, like.dtype)
        self.average = [p.detach().clone() for p in self.parameters]
        self.best: list[Tensor] | None = None
        self.best_score, self.best_step = math.inf, 0
        self.step_count, self.elapsed = 0, 0.0
        # Two generators, so that neither stream depends on how many numbers the other one draws.
        self.batches = Batches(len(x1), options.batch_size, 2 * options.seed)
        self.noise = torch.Generator(like.device).manual_seed(2 * options.seed + 1)
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=options.lr, weight_decay=options.weight_decay, fused=_can_fuse(self.parameters) or None
        )
        self._loss_sum = torch.zeros((), device=like.device, dtype=torch.float64 if like.device.type == "cpu" else None)
        self._loss_count = 0

    @property
    def lr(self) -> float:
        """The learning rate of the last step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def step(self, progress: float) -> None:
        """One step.

        Args:
            progress: How much of the training is over, which decides the learning rate.

        Raises:
            TrainingError: The loss or its gradient is not finite.
        """
        batch = self.x1[self.batches.take().to(self.x1.device)]
        loss = self.objective(self.field, batch, generator=self.noise)
        if loss.dim():
            raise OptionError(f"an objective returns a scalar loss, this one returned shape {tuple(loss.shape)}")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.parameters, self.options.clip)
        self._loss_sum += loss.detach()
        self._loss_count += 1
        if self.x1.device.type == "cpu" or self.step_count % _CHECK_EVERY == 0:
            self._require_finite(loss.detach(), norm)
        self.optimizer.param_groups[0]["lr"] = self.options.lr * learning_rate_factor(progress, self.options.warmup)
        self.optimizer.step()
        self.step_count += 1
        weight = 1.0 - average_decay(self.step_count, self.options.ema)
        with torch.no_grad():
            for mean, parameter in zip(self.average, self.parameters, strict=True):
                mean.lerp_(parameter, weight)

    def mean_loss(self) -> float:
        """The mean loss since the last call, NaN without a step in between."""
        mean = float(self._loss_sum) / self._loss_count if self._loss_count else math.nan
        self._loss_sum.zero_()
        self._loss_count = 0
        return mean

    def is_finite(self) -> bool:
        """Whether every weight is a finite number."""
        return all(bool(p.isfinite().all()) for p in self.parameters)

    @contextmanager
    def averaged(self) -> Generator[nn.Module]:
        """The field with its averaged weights, in evaluation mode, for as long as the block lasts."""
        kept, training = [p.detach().clone() for p in self.parameters], self.field.training
        self._set_weights(self.average)
        self.field.eval()
        try:
            yield self.field
        finally:
            self._set_weights(kept)
            self.field.train(training)

    def offer(self, score: float) -> None:
        """Keep the averaged weights if their score is the lowest so far."""
        if score < self.best_score:
            self.best = [mean.clone() for mean in self.average]
            self.best_score, self.best_step = score, self.step_count

    def finish(self) -> None:
        """Put the best averaged weights into the field; without any score, the last."""
        self._set_weights(self.average if self.best is None else self.best)
        self.field.eval()

    # ---- the checkpoint ---------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything that a training needs to go on as if it had not stopped.

        Raises:
            OutputError: The file could not be written; the checkpoint before it stays.
        """
        start, position = self.batches.state()
        tensors: dict[str, Tensor] = {"batches": start, "noise": self.noise.get_state()}
        tensors |= {f"field/{name}": value for name, value in self.field.state_dict().items()}
        for kind, weights in (("average", self.average), ("best", self.best or [])):
            tensors |= {f"{kind}/{name}": w for name, w in zip(self.named, weights, strict=bool(weights))}
        for name, parameter in self.named.items():
            entries: Mapping[str, Tensor] = self.optimizer.state[parameter]
            tensors |= {f"adam/{name}/{key}": value for key, value in entries.items()}
        facts = {
            "format": _FORMAT,
            "step": self.step_count,
            "elapsed": self.elapsed,
            "position": position,
            "best_score": self.best_score if self.best is not None else None,
            "best_step": self.best_step,
            "identity": self._identity(),
            "options": asdict(self.options) | {"clip": repr(self.options.clip)},
        }
        write_tensors(path, tensors, facts)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Go on from a checkpoint of the same training.

        Raises:
            CheckpointError: It is damaged, or of another field, manifold or data.
            OptionError: It was made with other options.
        """
        tensors, facts = read_tensors(path, "checkpoint")
        if facts.get("format") != _FORMAT:
            raise CheckpointError(f"{path} is no checkpoint of fit, or one of another version of rmatch")
        _require_same(path, facts["identity"], self._identity())
        own = asdict(self.options) | {"clip": repr(self.options.clip)}
        for name, value in own.items():
            if facts["options"].get(name) != value:
                raise OptionError(
                    f"the checkpoint {path} was made with {name}={facts['options'].get(name)}, not {value}; "
                    "resume with the same options"
                )
        groups = {kind: _select(tensors, kind) for kind in ("field", "average", "best", "adam")}
        self.field.load_state_dict(groups["field"])
        device = self.x1.device
        self.average = [groups["average"][name].to(device) for name in self.named]
        self.best = [groups["best"][name].to(device) for name in self.named] if groups["best"] else None
        state = {index: _select(groups["adam"], name) for index, name in enumerate(self.named)}
        self.optimizer.load_state_dict(
            {
                "state": {k: v for k, v in state.items() if v},
                "param_groups": self.optimizer.state_dict()["param_groups"],
            }
        )
        self.batches.restore(tensors["batches"], facts["position"])
        self.noise.set_state(tensors["noise"])
        self.step_count, self.elapsed, self.best_step = facts["step"], facts["elapsed"], facts["best_step"]
        self.best_score = math.inf if facts["best_score"] is None else facts["best_score"]

    # ---- helpers ----------------------------------------------------------------------------------------------------

    def _identity(self) -> dict[str, Any]:
        """What a checkpoint must agree on: the manifold, the weights' shapes, and the data."""
        manifold = getattr(self.field, "manifold", None)
        return {
            "manifold": repr(manifold) if isinstance(manifold, Manifold) else None,
            "weights": {name: list(value.shape) for name, value in self.field.state_dict().items()},
            "precision": str(self.x1.dtype),
            "device": self.x1.device.type,
            "data": f"{len(self.x1)} rows, {checksum(self.x1)}",
        }

    def _set_weights(self, weights: list[Tensor]) -> None:
        with torch.no_grad():
            for parameter, value in zip(self.parameters, weights, strict=True):
                parameter.copy_(value)

    def _require_finite(self, loss: Tensor, norm: Tensor) -> None:
        if math.isfinite(float(loss)) and math.isfinite(float(norm)):
            return
        what = "loss" if not math.isfinite(float(loss)) else "gradient of the loss"
        raise TrainingError(
            f"the {what} is not finite at step {self.step_count + 1} (loss {float(loss)}, gradient norm {float(norm)}, "
            f"learning rate {self.lr:.3g}); train again with a smaller lr"
        )


def _can_fuse(parameters: list[nn.Parameter]) -> bool:
    return all(p.device.type in ("cpu", "cuda") and p.dtype in (torch.float32, torch.float64) for p in parameters)


def _select(tensors: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """The tensors whose name begins with `kind/`, by what follows."""
    return {name[len(kind) + 1 :]: value for name, value in tensors.items() if name.startswith(f"{kind}/")}


def _require_same(path: str | os.PathLike[str], stored: dict[str, Any], own: dict[str, Any]) -> None:
    if stored == own:
        return
    for name, what in (("manifold", "manifold"), ("data", "training points"), ("device", "kind of device")):
        if stored.get(name) != own[name]:
            raise CheckpointError(
                f"the checkpoint {path} has another {what} ({stored.get(name)}) than this training ({own[name]})"
            )
    raise CheckpointError(
        f"the checkpoint {path} is of another network: its weights have other names, shapes or precision"
    )
