"""The options of a run and their defaults, in one place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from rmatch._errors import CheckpointError, OptionError

# Scores, pictures and the final evaluation solve the flow thousands of times, so each gets the tolerance that it needs:
# on real data the NLL is off by about 2e-3, 7e-3 and 1e-5 nats, against a standard error of 4e-2 over test rows.
SCORE_TOLERANCE = 1e-2
SCORE_ROWS = 600
PICTURE_TOLERANCE = 5e-2
EVALUATION_TOLERANCE = 1e-4
DENSITY_SCORE_SAMPLES = 2000
DENSITY_SCORE_TOLERANCE = 1e-3  # a divergence comes close to 0, where an error of 1e-3 would choose other weights
DENSITY_SAMPLES = 10_000  # of a flow, weighed by the density that it learned

OBJECTIVES = ("flow", "score", "kl")
"""What is minimised over data."""
REVERSE_KL = "reverse-kl"
"""What is minimised for a density that needs no data."""

# A step by reverse KL follows the flow three times, so fewer steps of a smaller network go further.
_OWN_DEFAULTS: dict[str, dict[str, Any]] = {
    REVERSE_KL: {"steps": 1000, "batch_size": 128, "lr": 3e-3, "width": 64, "depth": 3, "ema": 0.99}
}


@dataclass(frozen=True)
class RunOptions:
    """How a run is trained. `rmatch train` takes its defaults from here.

    Args:
        steps: How many steps; `None` when `budget` decides.
        budget: Seconds of training, or `None`.
        batch_size: Points in a batch.
        lr: The highest learning rate.
        width: Units in each hidden layer of the network.
        depth: Hidden layers.
        seed: Of the split, the network's first weights, the batches and the noise.
        device: Where to train, as torch names it.
        warmup: The fraction of the training in which the learning rate rises.
        clip: The largest norm of a gradient.
        weight_decay: AdamW's weight decay.
        ema: Decay per step of the averaged weights.
        objective: What is minimised: `"flow"`, `"score"`, `"kl"`, or `"reverse-kl"` for a density.

    Raises:
        OptionError: A value is out of range.

    Example:
        >>> from rmatch.training import RunOptions
        >>> RunOptions(steps=100).batch_size
        512
    """

    steps: int | None = 8000
    budget: float | None = None
    batch_size: int = 512
    lr: float = 2e-3
    width: int = 256
    depth: int = 4
    seed: int = 0
    device: str = "cpu"
    warmup: float = 0.02
    clip: float = 1.0
    weight_decay: float = 0.0
    ema: float = 0.999
    objective: str = "flow"

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.budget is None):
            raise OptionError("say how long to train: either steps or a budget, and not both")
        known = (*OBJECTIVES, REVERSE_KL)
        if self.objective not in known:
            raise OptionError(f"unknown objective {self.objective!r}; use one of {', '.join(known)}")
        for name, least in (("steps", 1), ("batch_size", 1), ("width", 1), ("depth", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise OptionError(f"{name} must be {least} or more, got {value}")
        for name in ("lr", "budget"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise OptionError(f"{name} must be above 0, got {value}")

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> RunOptions:
        """The objective's defaults with some options replaced; a budget takes the place of the default number of steps.

        Args:
            given: Options by name; those that are `None` keep their default.
        """
        kept = {name: value for name, value in given.items() if value is not None}
        if "budget" in kept and "steps" not in kept:
            kept["steps"] = None
        return cls(**(_OWN_DEFAULTS.get(kept.get("objective", ""), {}) | kept))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunOptions:
        """The options that a run folder holds.

        Raises:
            CheckpointError: A field is missing, unknown or of the wrong type.
        """
        names = [field.name for field in fields(cls)]
        wrong = sorted(set(values) ^ set(names))
        if wrong:
            raise CheckpointError(
                f"the stored options do not have the names that this version knows: {', '.join(wrong)}"
            )
        try:
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"the stored options cannot be used: {error}") from error
