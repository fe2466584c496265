"""The folder that a run leaves, and the model in it."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from rmatch._errors import CheckpointError, OptionError
from rmatch._files import atomic_write
from rmatch.datasets import Coordinates, Dataset, Split, split
from rmatch.fields import TangentMLP
from rmatch.manifolds import Manifold
from rmatch.paths import FlowPath
from rmatch.solvers import DormandPrince, Solver
from rmatch.training._storage import read_tensors, write_tensors
from rmatch.training.config import CONFIG_FILE, DataSource, DensitySource, RunConfig
from rmatch.training.recipe import trained_flow

MODEL_FILE, CHECKPOINT_FILE, METRICS_FILE = "model.safetensors", "checkpoint.safetensors", "metrics.jsonl"
SAMPLES_FILE, PICTURE_FILE = "samples.csv", "density.png"
RUN_FILES = (CONFIG_FILE, MODEL_FILE, CHECKPOINT_FILE, METRICS_FILE, SAMPLES_FILE, PICTURE_FILE)


@dataclass(frozen=True)
class Run:
    """A trained flow with what its folder says about it.

    Args:
        folder: The run folder.
        config: Its configuration.
        field: The network, in float32, on the CPU.

    Example:
        >>> from rmatch.training import load_run
        >>> run = load_run("runs/airports")  # doctest: +SKIP
        >>> run.flow.at(1.0).sample((10,))  # doctest: +SKIP
    """

    folder: Path
    config: RunConfig
    field: TangentMLP

    @property
    def manifold(self) -> Manifold:
        """The manifold of the data."""
        return self.config.manifold

    @property
    def coordinates(self) -> Coordinates:
        """The codec between points and the columns of the training table."""
        return self.config.coordinates

    @property
    def flow(self) -> FlowPath:
        """The trained flow; `run.flow.at(1.0)` is the density that was learned."""
        return self.flow_by(DormandPrince())

    def flow_by(self, solver: Solver) -> FlowPath:
        """The trained flow with another solver."""
        return trained_flow(self.config.options.objective, self.field, self.config.base, solver)

    def data(self) -> Dataset:
        """The data set that the run was trained on, read again.

        Raises:
            OptionError: It learned a density, from no data.
            DataError: It is gone or has changed.
        """
        return self._table.read(self.coordinates)

    def split(self) -> Split:
        """Rows of the data set for training, validation and test.

        Raises:
            OptionError: It learned a density, from no data.
        """
        return split(self._table.rows, self.config.options.seed)

    @property
    def _table(self) -> DataSource:
        source = self.config.data
        if isinstance(source, DensitySource):
            raise OptionError(f"the run in {self.folder} learned the density {source.name}: it has no rows of data")
        return source


def load_run(folder: str | os.PathLike[str]) -> Run:
    """The trained flow in a run folder.

    Args:
        folder: What `rmatch train -o` wrote.

    Returns:
        The run.

    Raises:
        CheckpointError: The folder is missing, holds no run, is of another manifold or network, or a file in it is
            damaged; the text says which.
    """
    path = Path(folder)
    config = RunConfig.read(path)
    field = build_field(config)
    model = path / MODEL_FILE
    if not model.exists() and (path / CHECKPOINT_FILE).exists():
        raise CheckpointError(f"the training in {path} has not ended; go on with: rmatch train --resume -o {path}")
    tensors, facts = read_tensors(model, "model")
    if facts.get("manifold") != repr(config.manifold):
        raise CheckpointError(
            f"{model} is of {facts.get('manifold')}, but {CONFIG_FILE} beside it says {config.manifold}"
        )
    expected = {name: tuple(value.shape) for name, value in field.state_dict().items()}
    for name in sorted(expected.keys() | tensors.keys()):
        found = tuple(tensors[name].shape) if name in tensors else None
        if found != expected.get(name):
            raise CheckpointError(
                f"{model} does not fit the network of {CONFIG_FILE} beside it: {name} has shape {found}, "
                f"not {expected.get(name)}"
            )
    if facts.get("run") != config.identity:
        raise CheckpointError(f"{model} belongs to another run than the {CONFIG_FILE} beside it")
    field.load_state_dict(tensors)
    field.eval()
    return Run(path, config, field)


def save_model(folder: Path, config: RunConfig, field: TangentMLP) -> None:
    """Write the weights of a run.

    Raises:
        OutputError: The file could not be written.
    """
    facts = {"run": config.identity, "manifold": repr(config.manifold)}
    write_tensors(folder / MODEL_FILE, field.state_dict(), facts)


def build_field(config: RunConfig) -> TangentMLP:
    """The untrained network of a run.

    Raises:
        CheckpointError: The stored arguments are not those of a network.
    """
    try:
        return TangentMLP(config.manifold, **config.field)
    except (TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"the stored network cannot be built: {error}") from error


def holds_run(folder: Path) -> bool:
    """Whether a folder has a file of a run in it."""
    return any((folder / name).exists() for name in (CONFIG_FILE, MODEL_FILE, CHECKPOINT_FILE))


def draw(run: Run, count: int, *, seed: int, chunk: int = 8192) -> Tensor:
    """Samples of the trained flow, `(count, *point_shape)`, float32.

    Args:
        run: The run.
        count: How many, 1 or more.
        seed: Of the base points; the same seed gives the same samples.
        chunk: How many are solved for together.

    Raises:
        OptionError: `count` or `seed` is out of range.
        SolverError: The flow cannot be integrated.
    """
    if count < 1:
        raise OptionError(f"the number of samples must be 1 or more, got {count}")
    if not 0 <= seed < 2**63:
        raise OptionError(f"a seed is 0 or larger, got {seed}")
    generator = torch.Generator().manual_seed(seed)
    base = run.flow.base.sample((count,), generator=generator, dtype=torch.float32)
    parts: list[Tensor] = []
    with torch.no_grad():
        for part in base.split(chunk):
            parts.append(run.flow.solve(part, 0.0, 1.0).point)
    return torch.cat(parts)


def write_table(path: str | os.PathLike[str], coordinates: Coordinates, points: Tensor) -> None:
    """Write points to a CSV file in the columns and units of a table.

    Args:
        path: The file.
        coordinates: The codec of the table.
        points: `(N, *point_shape)`.

    Raises:
        OutputError: The file could not be written; what it held stays.
    """
    with atomic_write(path, "w") as file:
        write_rows(file, coordinates, points)


def write_rows(file: IO[str], coordinates: Coordinates, points: Tensor) -> None:
    """Write a header and one row for each point to an open text file, numbers as the coordinates format them."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(coordinates.columns)
    for row in coordinates.to_table(points).tolist():
        writer.writerow([format(value, form) for value, form in zip(row, coordinates.formats, strict=True)])
