"""The heat kernel of the circle R / 2πZ by both theta series, each where a few terms do."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from rmatch._numerics import possibly_any

_PERIOD = 2 * math.pi
_LATE = 2.5  # the first terms left out are exp(-12 π²/2.5) = 3e-21 and exp(-6² 2.5/2) = 3e-20
_TURNS = 2
_HARMONICS = 5


def log_kernel(delta: Tensor, t: Tensor) -> Tensor:
    """`log Σ_k N(δ + 2πk; 0, t)` for angles in [-π, π], and for late times the same by its Fourier series.

    By Poisson's summation formula the sum is `(1 + 2 Σ_m e^{-m²t/2} cos mδ) / 2π`.
    """
    late = t >= _LATE

    def early_sum(t: Tensor) -> Tensor:
        return _exponents(delta, t).logsumexp(-1) - (_PERIOD * t).log() / 2

    def late_sum(t: Tensor) -> Tensor:
        m, decay = _decay(delta, t)
        waves = (m * delta.unsqueeze(-1)).cos()
        return torch.log1p(2 * (decay * waves).sum(-1)) - math.log(_PERIOD)

    return _by_time(late, t, early_sum, late_sum)


def score(delta: Tensor, t: Tensor) -> Tensor:
    """The derivative of `log_kernel` in δ."""
    late = t >= _LATE

    def early_mean(t: Tensor) -> Tensor:
        weights = _exponents(delta, t).softmax(-1)
        return -(delta + (weights * _turns(delta)).sum(-1)) / t

    def late_quotient(t: Tensor) -> Tensor:
        m, decay = _decay(delta, t)
        phase = m * delta.unsqueeze(-1)
        return -2 * (m * decay * phase.sin()).sum(-1) / (1 + 2 * (decay * phase.cos()).sum(-1))

    return _by_time(late, t, early_mean, late_quotient)


def _by_time(
    late: Tensor, t: Tensor, early_form: Callable[[Tensor], Tensor], late_form: Callable[[Tensor], Tensor]
) -> Tensor:
    """Each formula at the times where it is short; where both are needed, each sees only times that it can take."""
    if not possibly_any(late):
        return early_form(t)
    if not possibly_any(~late):
        return late_form(t)
    return torch.where(late, late_form(t.clamp_min(_LATE)), early_form(t.clamp_max(_LATE)))


def _exponents(delta: Tensor, t: Tensor) -> Tensor:
    """`-(δ + 2πk)² / 2t`: `(*batch, 2 turns + 1)`."""
    return -(delta.unsqueeze(-1) + _turns(delta)).square() / (2 * t.unsqueeze(-1))


def _turns(like: Tensor) -> Tensor:
    return _PERIOD * torch.arange(-_TURNS, _TURNS + 1, dtype=like.dtype, device=like.device)


def _decay(delta: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The harmonics m and their weights `e^{-m²t/2}`: `(k)` and `(*batch, k)`."""
    m = torch.arange(1, _HARMONICS + 1, dtype=delta.dtype, device=delta.device)
    return m, (-m.square() * t.unsqueeze(-1) / 2).exp()
