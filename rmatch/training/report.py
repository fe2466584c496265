"""What a training tells about itself while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Report:
    """Where a training is; sent about twice a second and after every score.

    Args:
        step: Steps done.
        steps: Steps in all, or `None` when a time decides.
        progress: How much of the training is over, in [0, 1].
        loss: Mean loss of the steps since the report before.
        lr: The learning rate of the last step.
        rate: Steps per second since the report before, not counting the time of scores and checkpoints.
        seconds: Time spent on this training, earlier parts of a resumed one included.
        remaining: Estimated seconds to its end.
        score: The score that was just taken, or `None`.
        best: The best score so far, or `None`.
    """

    step: int
    steps: int | None
    progress: float
    loss: float
    lr: float
    rate: float
    seconds: float
    remaining: float
    score: float | None = None
    best: float | None = None


Listener: TypeAlias = Callable[[Report], None]
"""What `fit` sends its reports to."""
