"""The work of `rmatch train`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rmatch._errors import CheckpointError, OptionError
from rmatch.cli._data import asked_manifold, is_built_in
from rmatch.cli._data_job import DataJob
from rmatch.cli._density import reload_density
from rmatch.cli._density_job import DensityJob
from rmatch.cli._job import Job, require_device
from rmatch.cli._request import TrainRequest
from rmatch.manifolds import ManifoldSpec
from rmatch.training import DataSource, DensitySource, RunConfig, RunOptions
from rmatch.training.options import REVERSE_KL
from rmatch.training.run import CHECKPOINT_FILE, build_field, holds_run


def run_training(request: TrainRequest) -> int:
    """Train as asked; returns the exit status."""
    if request.folder.exists() and not request.folder.is_dir():
        raise OptionError(f"-o {request.folder} is a file; name a folder")
    job = _resume(request) if request.resume else _begin(request)
    result = job.train()
    if result.interrupted:
        print(
            f"rmatch: interrupted at step {result.steps}, nothing is lost; "
            f"go on with: rmatch train --resume -o {request.folder}",
            file=sys.stderr,
        )
        return 130
    job.finish(result)
    return 0


def _begin(request: TrainRequest) -> Job:
    """A new run."""
    folder = request.folder
    if holds_run(folder) and not request.overwrite:
        raise OptionError(f"{folder} already holds a run; go on with it by --resume, or replace it by --overwrite")
    options = RunOptions.of(request.options)
    require_device(options.device)
    return (DensityJob if options.objective == REVERSE_KL else DataJob).begin(request, options)


def _resume(request: TrainRequest) -> Job:
    """The run in the folder; options that the user repeats must be those that it has."""
    config = RunConfig.read(request.folder)
    differing = list(_differences(request, config))
    if differing:
        raise OptionError(
            f"{request.folder} was begun with other options ({'; '.join(differing)}); "
            "--resume takes all of them from the folder, so leave them out"
        )
    if not (request.folder / CHECKPOINT_FILE).exists():
        raise CheckpointError(f"{request.folder} has no {CHECKPOINT_FILE} to go on from; train again with --overwrite")
    require_device(config.options.device)
    field = build_field(config)
    if isinstance(config.data, DensitySource):
        return DensityJob(request.folder, config, field, reload_density(config.data, config.base), resume=True)
    return DataJob(request.folder, config, field, config.data.read(config.coordinates), resume=True)


def _differences(request: TrainRequest, config: RunConfig) -> list[str]:
    """What the user asked for beside what the run has, where they differ."""
    source = config.data
    of_density = isinstance(source, DensitySource)
    pairs = _of_the_density(request, source) if of_density else _of_the_table(request, config, source)
    pairs.append(("--manifold", *_manifolds(request, config)))
    own = asdict(config.options)
    pairs += [(f"--{name.replace('_', '-')}", value, (own[name],)) for name, value in request.options.items()]
    return [f"{name} {held[-1]}, not {asked}" for name, asked, held in pairs if asked is not None and asked not in held]


def _manifolds(request: TrainRequest, config: RunConfig) -> tuple[str | None, tuple[str]]:
    """The manifold that the user asked for, unless the run's is as asked, and the run's, told as fully as needed."""
    asked, own = asked_manifold(request.manifold), config.coordinates.spec
    if asked is None or asked.covers(own):
        return None, (str(own),)
    return str(asked), (str(own if asked.family == own.family else ManifoldSpec.of(config.manifold)),)


_Pairs = list[tuple[str, Any, tuple[Any, ...]]]
"""Names of options, what the user asked for, and the values that the run has."""


def _of_the_table(request: TrainRequest, config: RunConfig, source: DataSource) -> _Pairs:
    own_data = source.name if source.path is None else source.path
    asked_data = request.data
    if asked_data is not None and not (source.path is None and is_built_in(asked_data)):
        asked_data = str(Path(asked_data).resolve())
    return [
        ("data", asked_data, (own_data,)),
        ("--columns", request.columns, (source.columns, config.coordinates.columns)),
        ("--unit", request.unit, (source.unit, config.coordinates.unit)),
    ]


def _of_the_density(request: TrainRequest, source: DensitySource) -> _Pairs:
    asked = request.data
    if asked is not None and ".py:" in asked:
        path, _, function = asked.rpartition(".py:")
        asked = f"{Path(f'{path}.py').resolve()}:{function.strip()}"
    return [
        ("density", asked, (f"{source.path}:{source.function}",)),
        ("--columns", request.columns, (None,)),
        ("--unit", request.unit, (None,)),
    ]
