"""What the user asked `rmatch train` for: the command line over a TOML file."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmatch._errors import OptionError

_TEXT, _WHOLE, _NUMBER = (str,), (int,), (int, float)
_TYPES: dict[str, tuple[type, ...]] = {
    "data": _TEXT,
    "output": _TEXT,
    "manifold": _TEXT,
    "columns": (str, list),
    "unit": _TEXT,
    "objective": _TEXT,
    "steps": _WHOLE,
    "budget": (str, int, float),
    "batch_size": _WHOLE,
    "lr": _NUMBER,
    "width": _WHOLE,
    "depth": _WHOLE,
    "seed": _WHOLE,
    "device": _TEXT,
    "warmup": _NUMBER,
    "clip": _NUMBER,
    "weight_decay": _NUMBER,
    "ema": _NUMBER,
}
_OF_THE_TABLE = ("data", "output", "manifold", "columns", "unit")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class TrainRequest:
    """The options of `rmatch train`; `None` for what was not said.

    Args:
        data: A built-in name or a file.
        folder: The run folder.
        manifold: For example `"sphere"` or `"product:sphere2,torus1"`.
        columns: Names or positions.
        unit: `"degrees"` or `"radians"`.
        options: Fields of `RunOptions` that were given.
        resume: Whether to go on.
        overwrite: Whether to replace a run.
    """

    data: str | None
    folder: Path
    manifold: str | None
    columns: tuple[str, ...] | None
    unit: str | None
    options: dict[str, Any]
    resume: bool
    overwrite: bool

    @classmethod
    def of(cls, given: Mapping[str, Any], config: str | None, *, resume: bool, overwrite: bool) -> TrainRequest:
        """The request of a command line and perhaps a TOML file.

        Args:
            given: Options of the command line, `None` for those left out.
            config: The TOML file.
            resume: Whether to go on.
            overwrite: Whether to replace a run.

        Raises:
            OptionError: An option is unknown, of the wrong type, or contradicts another one.
        """
        line = {name: value for name, value in given.items() if value is not None}
        if "steps" in line and "budget" in line:
            raise OptionError("--steps and --budget exclude each other: say how many steps, or how long")
        if resume and overwrite:
            raise OptionError("--resume and --overwrite exclude each other: go on with the run, or replace it")
        file = {} if config is None else _read_toml(Path(config))
        if "steps" in line or "budget" in line:
            file.pop("steps", None)
            file.pop("budget", None)
        merged = file | line
        if "output" not in merged:
            raise OptionError("say where the run goes, for example -o runs/first")
        if "budget" in merged:
            merged["budget"] = parse_budget(merged["budget"])
        return cls(
            data=merged.get("data"),
            folder=Path(merged["output"]),
            manifold=merged.get("manifold"),
            columns=_columns(merged.get("columns")),
            unit=merged.get("unit"),
            options={name: value for name, value in merged.items() if name not in _OF_THE_TABLE},
            resume=resume,
            overwrite=overwrite,
        )


def parse_budget(text: str | float) -> float:
    """Seconds of a time such as `90s`, `5m`, `1.5h`; a number that is no text is in seconds already.

    Raises:
        OptionError: The text is no time, or not above 0.

    Example:
        >>> from rmatch.cli._request import parse_budget
        >>> parse_budget("5m")
        300.0
    """
    if isinstance(text, int | float):
        return float(text)
    match = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)([smh])", text.strip())
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if not seconds > 0:
        raise OptionError(f"--budget {text!r} is not a time; write 90s, 5m or 2h")
    return seconds


def _columns(value: str | list[str] | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else tuple(value)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise OptionError(f"--config: no such file: {path}") from None
    except OSError as error:
        raise OptionError(f"--config: cannot read {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(f"--config: {path} is not TOML: {error}") from error
    result: dict[str, Any] = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in _TYPES:
            close = difflib.get_close_matches(name, _TYPES, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(_TYPES)}"
            raise OptionError(f"--config: {path} has an unknown option {key!r}{hint}")
        good = isinstance(value, _TYPES[name]) and not isinstance(value, bool)
        if isinstance(value, list):
            good = good and all(isinstance(entry, str) for entry in value)
        if not good:
            wanted = " or ".join("text" if kind is str else kind.__name__ for kind in _TYPES[name])
            raise OptionError(f"--config: {path}: {key} = {value!r} is of the wrong type, expected {wanted}")
        result[name] = value
    if "steps" in result and "budget" in result:
        raise OptionError(f"--config: {path} has both steps and budget; keep one of them")
    return result
