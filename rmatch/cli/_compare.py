"""The work of `rmatch compare`."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rmatch._errors import DependencyError, OptionError, OutputError
from rmatch.cli._baselines import Baselines, score_baselines
from rmatch.cli._data import asked_manifold, read_points
from rmatch.cli._float32 import require_float32
from rmatch.cli._page import comparison_page
from rmatch.cli._picture import panel_labels
from rmatch.cli._request import TrainRequest
from rmatch.datasets import Dataset, split
from rmatch.distributions import default_base
from rmatch.fields import TangentMLP
from rmatch.objectives import Pairing
from rmatch.plotting import Entry, plot_comparison, save_figure
from rmatch.training import Contender, ProgressBar, RunOptions, contend, pair
from rmatch.training.options import OBJECTIVES
from rmatch.training.recipe import Recipe

PAGE_FILE, PICTURE_FILE, NUMBERS_FILE = "comparison.html", "comparison.png", "comparison.json"
COMPARISON_FILES = (NUMBERS_FILE, PICTURE_FILE, PAGE_FILE)
NAMES = {"flow": "flow matching", "score": "score matching", "kl": "maximum likelihood"}


@dataclass(frozen=True)
class CompareRequest:
    """What the user asked for.

    Args:
        training: The options that `rmatch train` has too.
        objectives: What to compare, or `None` for all that are known on the manifold.
    """

    training: TrainRequest
    objectives: tuple[str, ...] | None


def run_comparison(request: CompareRequest) -> int:
    """Train, compare and write the page; returns the exit status."""
    training = request.training
    folder = training.folder
    if folder.exists() and not folder.is_dir():
        raise OptionError(f"-o {folder} is a file; name a folder")
    if any((folder / name).exists() for name in COMPARISON_FILES) and not training.overwrite:
        raise OptionError(f"{folder} already holds a comparison; replace it by --overwrite")
    _require_matplotlib()
    options = RunOptions.of(training.options)
    data = read_points(str(training.data), asked_manifold(training.manifold), training.columns, training.unit)
    parts = split(len(data), options.seed)
    base = default_base(data.manifold, data.points[parts.train])
    require_float32(data, base)
    objectives = _objectives(request.objectives, data)
    with _new_files(folder) as room:  # before the training: a folder that cannot be written is found at once
        contenders = [_train(name, data, options) for name in objectives]
        print("scoring the models that need no training", file=sys.stderr)
        baselines = score_baselines(data.manifold, data.points, parts)
        pairings = _pairings(contenders, options.seed)
        _write(room, data, options, contenders, baselines, pairings, Path(str(training.data)).name)
    for line in summary(contenders, baselines):
        print(line)
    print(f"wrote {', '.join(reversed(COMPARISON_FILES))} in {folder}")
    return 0


def _objectives(asked: Sequence[str] | None, data: Dataset) -> list[str]:
    """Those to compare; one that is not known on the manifold is left out, or refused where it was asked for."""
    network = TangentMLP(data.manifold, width=1, depth=1)
    base = default_base(data.manifold, data.points)
    chosen: list[str] = []
    for name in OBJECTIVES if asked is None else asked:
        try:
            Recipe.of(name, network, base)
        except OptionError as error:
            if asked is not None:
                raise
            print(f"{NAMES[name]} is left out: {error}", file=sys.stderr)
        else:
            chosen.append(name)
    return chosen


def _train(objective: str, data: Dataset, options: RunOptions) -> Contender:
    """The same network from the same first weights, by one objective."""
    parts = split(len(data), options.seed)
    base = default_base(data.manifold, data.points[parts.train])
    network = TangentMLP.for_data(
        data.manifold, data.points[parts.train], options.width, options.depth, seed=options.seed
    )
    own = RunOptions.of(asdict(options) | {"objective": objective})
    print(f"training by {NAMES[objective]}", file=sys.stderr)
    with ProgressBar(score_name="validation NLL") as bar:
        return contend(network, base, data.points, parts, own, progress=bar)


def _pairings(contenders: Sequence[Contender], seed: int) -> list[tuple[str, Pairing]]:
    """The first flow with each of the others."""
    first, *others = contenders
    found: list[tuple[str, Pairing]] = []
    for other in others:
        name = f"{NAMES[first.objective]} with {NAMES[other.objective]}"
        print(f"pairing {name}", file=sys.stderr)
        numbers = pair(first, other, seed=seed)
        if numbers is not None:
            found.append((name, numbers))
    return found


def summary(contenders: Sequence[Contender], baselines: Baselines) -> list[str]:
    """The lines that the command prints."""
    lines = ["NLL per row on the test rows, in nats; lower is better"]
    for one in contenders:
        name = NAMES[one.objective]
        if one.evaluation is None:
            lines.append(f"  {name:<24}    none: {one.failure}")
            continue
        lines.append(
            f"  {name:<24}{one.evaluation.nll:>8.3f} ± {one.evaluation.nll_stderr:.3f}   "
            f"{one.steps:,} steps of {1e3 * one.step_seconds:.3g} ms, {one.evaluation.nfe} evaluations to solve, "
            f"{one.astray or 0.0:.1%} of the samples away from the data"
        )
    if baselines.kernel_density is not None:
        lines.append(
            f"  {'kernel density estimate':<24}{baselines.kernel_density:>8.3f} ± {baselines.kernel_density_stderr:.3f}"
        )
    if baselines.uniform is not None:
        lines.append(f"  {'uniform density':<24}{baselines.uniform:>8.3f}")
    return lines


def _write(
    room: Path,
    data: Dataset,
    options: RunOptions,
    contenders: Sequence[Contender],
    baselines: Baselines,
    pairings: Sequence[tuple[str, Pairing]],
    name: str,
) -> None:
    """The three files."""
    title = f"{name}: {options.budget:g} s of each objective"
    entries = [
        Entry(NAMES[one.objective], *_columns(one.curve), one.step_seconds, one.astray, one.samples)
        for one in contenders
    ]
    lines = [("kernel density", baselines.kernel_density), ("uniform", baselines.uniform)]
    figure = plot_comparison(
        data.manifold,
        entries,
        points=data.points,
        lines=[(name, value) for name, value in lines if value is not None],
        pairings=pairings,
        labels=panel_labels(data.coordinates),
        title=title,
        coastlines=data.kind == "latlon",
    )
    save_figure(figure, room / PICTURE_FILE)
    numbers = _numbers(data, options, contenders, baselines, pairings)
    (room / NUMBERS_FILE).write_text(json.dumps(numbers, indent=1) + "\n", "utf-8")
    page = comparison_page(title, numbers, (room / PICTURE_FILE).read_bytes())
    (room / PAGE_FILE).write_text(page, "utf-8")


def _columns(curve: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [second for second, _ in curve], [nll for _, nll in curve]


def _numbers(
    data: Dataset,
    options: RunOptions,
    contenders: Sequence[Contender],
    baselines: Baselines,
    pairings: Sequence[tuple[str, Pairing]],
) -> dict[str, Any]:
    """All that was measured, as JSON: what is not finite becomes null."""
    rows = [
        {
            "objective": one.objective,
            "name": NAMES[one.objective],
            "steps": one.steps,
            "seconds": one.seconds,
            "milliseconds_per_step": 1e3 * one.step_seconds,
            "curve": [{"seconds": second, "validation_nll": nll} for second, nll in one.curve],
            "test": None if one.evaluation is None else asdict(one.evaluation),
            "samples_astray": one.astray,
            "failure": one.failure,
        }
        for one in contenders
    ]
    pairs = [
        {
            "pair": name,
            "t": numbers.t.tolist(),
            "over_time": {key: value.tolist() for key, value in vars(numbers.over_time).items()},
            "over_time_errors": {key: value.tolist() for key, value in vars(numbers.over_time_errors).items()},
            "integrated": {key: getattr(numbers, key) for key in numbers.errors._fields},
            "errors": numbers.errors._asdict(),
        }
        for name, numbers in pairings
    ]
    everything = {
        "data": data.source,
        "manifold": repr(data.manifold),
        "rows": len(data),
        "options": {key: value for key, value in asdict(options).items() if key not in ("objective", "steps")},
        "objectives": rows,
        "baselines": asdict(baselines),
        "pairings": pairs,
    }
    return _finite(everything)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [_finite(entry) for entry in value]  # pyright: ignore[reportUnknownVariableType]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def _new_files(folder: Path) -> Generator[Path]:
    """A hidden folder beside `folder`, whose files take their places in it together when the block ends well."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        room = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from error
    try:
        yield room
        if folder.exists():
            for name in COMPARISON_FILES:  # the page last: whoever sees it finds the others
                os.replace(room / name, folder / name)
        else:
            room.chmod(0o777 & ~_umask())
            room.rename(folder)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _require_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        raise DependencyError('a comparison needs matplotlib; install it with: pip install "rmatch[plot]"') from error
