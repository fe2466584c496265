"""How an integration ended, and what to do about it."""

from __future__ import annotations

from enum import Enum

__all__ = ["Status"]


class Status(Enum):
    """How an integration ended; the text is what to do about it."""

    SUCCESS = "the end was reached"
    MAX_STEPS = "raise max_steps, or raise rtol and atol to take longer steps"
    NOT_FINITE = "look at the field there: it must be finite on the whole manifold and time interval"
    LEFT_DOMAIN = "take shorter steps, or look at the field there: near the boundary it may be too large"
    STEP_TOO_SMALL = "raise rtol and atol, use float64, or look at the field there: it may not be smooth"
