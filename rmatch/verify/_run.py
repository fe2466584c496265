"""Trying one law: all its cases, and the simplest counterexample where it is broken."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rmatch.manifolds import Manifold
from rmatch.verify.base import Inputs, Law, Residual
from rmatch.verify.draw import Draw
from rmatch.verify.functions import GradientField, RandomField, RandomFunction
from rmatch.verify.report import Row, Status
from rmatch.verify.subject import Subject

_TRIES = 60
_SECONDS = 10.0
"""How many simpler inputs are tried for a broken law, and for how long."""

_POINTS, _VECTORS, _BASIS = ("x", "y", "z"), ("u", "v", "w"), "basis"


class Measured(NamedTuple):
    """The worst instance: its residual in units of its tolerance, the two, and its row."""

    ratio: float
    residual: float
    tolerance: float
    row: int


def run_law(law: Law, subject: Subject, *, seed: int, cases: int, rows: int, expected: bool) -> Row:
    """Try a law, from simple inputs to rich ones, until it is broken or all cases are through."""
    start = time.perf_counter()
    worst, tried, inputs = Measured(-1.0, math.nan, math.nan, 0), 0, dict[str, Any]()
    status: Status = "holds"
    counterexample = reason = None
    try:
        for need in law.needs:
            if (lacking := need.missing(subject)) is not None:
                return Row(law.name, law.formula, "skipped", reason=lacking)
        for level in range(cases):
            tried += 1
            inputs = {}
            inputs = law.inputs(Draw(subject, seed=seed, name=law.name, level=level, rows=rows))
            residual = law.residual(subject.manifold, **inputs)
            measured = measure(residual)
            worst = max(worst, measured)
            if measured.ratio > 1.0:
                inputs, worst = simplest(law, subject.manifold, inputs, measured)
                counterexample, status, reason = describe(inputs) or None, "broken", residual.note
                break
    except Exception as error:  # whatever a user's method raises is a finding about that method
        status, reason, worst = "broken", _one_line(error), Measured(math.inf, math.nan, math.nan, 0)
    if expected and status == "broken":
        status = "expected"
    elif expected:
        reason = "expected to fail, but holds: take it out of expected_failures"
    return Row(
        law.name,
        law.formula,
        status,
        worst.residual,
        worst.tolerance,
        tried,
        time.perf_counter() - start,
        counterexample,
        reason,
    )


def measure(residual: Residual) -> Measured:
    """The worst row; a residual or a tolerance that is not a number is as bad as can be."""
    value = residual.value.detach().to(torch.float64).reshape(-1)
    tolerance = residual.tolerance.detach().to(torch.float64).reshape(-1).expand_as(value)
    if not len(value):
        return Measured(0.0, 0.0, 0.0, 0)
    ratio = torch.where(value == 0, 0.0, value / tolerance)
    ratio = torch.where(ratio.isnan() | ~tolerance.isfinite(), math.inf, ratio)
    row = int(ratio.argmax())
    return Measured(float(ratio[row]), float(value[row]), float(tolerance[row]), row)


def simplest(law: Law, M: Manifold, inputs: Inputs, found: Measured) -> tuple[Inputs, Measured]:
    """Make the inputs of a broken law as simple as they get while it stays broken."""
    best, measured = dict(inputs), found
    one = {
        name: value[found.row : found.row + 1] if isinstance(value, Tensor) else value for name, value in best.items()
    }
    if (again := _still_broken(law, M, one)) is not None:
        best, measured = one, again
    tries, progress, end = 0, True, time.perf_counter() + _SECONDS
    while progress and tries < _TRIES and time.perf_counter() < end:
        progress = False
        for candidate in _simpler(M, best):
            tries += 1
            if (again := _still_broken(law, M, candidate)) is not None:
                best, measured, progress = candidate, again, True
                break
            if tries >= _TRIES or time.perf_counter() >= end:
                break
    return best, measured


def _still_broken(law: Law, M: Manifold, inputs: Inputs) -> Measured | None:
    try:
        measured = measure(law.residual(M, **inputs))
    except Exception:  # simpler inputs may be unfit for the law: then they are no counterexample
        return None
    return measured if measured.ratio > 1.0 else None


def _simpler(M: Manifold, inputs: Inputs) -> Iterator[dict[str, Any]]:
    """Inputs that differ in one respect from the given ones and are simpler."""
    for name, value in inputs.items():
        if isinstance(value, RandomFunction | RandomField | GradientField):
            for simpler in value.simpler():
                yield {**inputs, name: simpler}
        elif isinstance(value, Tensor) and len(value) == 1:
            for simpler in _simpler_tensors(M, name, inputs):
                if not torch.equal(simpler, value):
                    yield _with_tangents(M, {**inputs, name: simpler}, name)


def _simpler_tensors(M: Manifold, name: str, inputs: Inputs) -> Iterator[Tensor]:
    value: Tensor = inputs[name]
    if name in _POINTS:
        yield M.origin(dtype=value.dtype).expand_as(value).clone()
    for digits in (0, 1):
        rounded = value.round(decimals=digits)
        if name in _POINTS:
            yield M.project(rounded)
        elif name in _VECTORS and "x" in inputs:
            yield M.to_tangent(inputs["x"], rounded)
        elif name == _BASIS:
            yield M.to_tangent(inputs["x"].unsqueeze(1), rounded)
        elif name not in _VECTORS:
            yield rounded


def _with_tangents(M: Manifold, inputs: dict[str, Any], changed: str) -> dict[str, Any]:
    """Make the vectors tangent at the point x, if that is what changed."""
    if changed == "x":
        for name in _VECTORS:
            if name in inputs:
                inputs[name] = M.to_tangent(inputs["x"], inputs[name])
        if _BASIS in inputs:
            inputs[_BASIS] = M.to_tangent(inputs["x"].unsqueeze(1), inputs[_BASIS])
    return inputs


def describe(inputs: Inputs) -> str:
    """The inputs as a person would write them down."""
    return ", ".join(f"{name} = {_text(value)}" for name, value in inputs.items())


def _text(value: object) -> str:
    if not isinstance(value, Tensor):
        return f"{value:.4g}" if isinstance(value, float) else repr(value)
    if value.dim() and len(value) == 1:
        return _entries(value[0])
    return _entries(value[0]) + f" and {len(value) - 1} more" if value.dim() else _entries(value)


def _entries(value: Tensor) -> str:
    if value.dim() == 0:
        return f"{float(value) + 0.0:.5g}"  # without the sign of zero
    return f"[{', '.join(map(_entries, value))}]"


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
