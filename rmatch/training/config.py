"""What a run folder says about itself, so that the model can be rebuilt from the folder alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch

from rmatch._errors import CheckpointError, DataError, OptionError
from rmatch._files import atomic_write
from rmatch.datasets import Coordinates, Dataset, coordinates_from_dict, load, read_table
from rmatch.distributions import Distribution, Uniform, WrappedNormal
from rmatch.manifolds import Manifold
from rmatch.training._storage import checksum
from rmatch.training.options import RunOptions

CONFIG_FILE = "config.json"
_FORMAT = 1
_SAME = 1e-4  # two machines may differ that much in float32


@dataclass(frozen=True)
class DataSource:
    """Where the points of a run come from.

    Args:
        name: The name of a built-in data set, or of the table.
        path: The table's absolute path; `None` for a built-in data set.
        columns: The columns that were asked for, or `None` when they were recognised.
        unit: The unit that was asked for, or `None`.
        rows: How many rows there were.
        checksum: Of the points, to notice that the data changed.
        source: Where the data come from, for people.
        licence: Under which they may be used.
    """

    name: str
    path: str | None
    columns: tuple[str, ...] | None
    unit: str | None
    rows: int
    checksum: str
    source: str
    licence: str

    @classmethod
    def of(cls, data: Dataset, path: Path | None, columns: tuple[str, ...] | None, unit: str | None) -> DataSource:
        """The source of a data set that has just been read."""
        where = None if path is None else str(path.resolve())
        return cls(data.name, where, columns, unit, len(data), checksum(data.points), data.source, data.licence)

    def read(self, coordinates: Coordinates) -> Dataset:
        """The data set again.

        Args:
            coordinates: What the columns mean.

        Raises:
            DataError: The table is gone, cannot be read, or no longer holds the same points.
        """
        if self.path is None:
            data = load(self.name)
        else:
            data = read_table(self.path, coordinates.spec, columns=self.columns, unit=self.unit)
        if checksum(data.points) != self.checksum:
            raise DataError(
                f"{self.path or self.name} no longer holds the {self.rows} points that this run was trained on; "
                "bring the old table back, or train on the new one"
            )
        return data


@dataclass(frozen=True)
class DensitySource:
    """Which density a run learned, where it needed no data.

    Args:
        name: The file and the function, for people.
        path: The file's absolute path.
        function: The function in it, or a call that makes it, such as `Lattice(2, 4)`.
        probe: The log-density at fixed points, to notice that it changed.
    """

    name: str
    path: str
    function: str
    probe: tuple[float, ...]

    def require_same(self, probe: Sequence[float]) -> None:
        """Raise DataError where the log-density has other values now than when the run began."""
        pairs = zip(self.probe, probe, strict=False)
        if len(self.probe) != len(probe) or any(not abs(a - b) <= _SAME * (1 + abs(a)) for a, b in pairs):
            raise DataError(
                f"{self.name} no longer is the density that this run learned; bring the old one back, or train again"
            )


@dataclass(frozen=True)
class RunConfig:
    """The configuration of a run: `config.json`.

    Args:
        data: Where the points come from, or which density was learned.
        coordinates: What the table's columns mean as points; its manifold is the run's.
        split: Number of rows for training, validation and test; the seed is the run's.
        field: The arguments of `TangentMLP` beside the manifold.
        options: How it is trained.
        versions: Of the libraries that began it.
        base_scale: Of the wrapped normal law at the origin that the flow starts from, one number or one for each factor
            of a product; `None` where it starts from the uniform law.
    """

    data: DataSource | DensitySource
    coordinates: Coordinates
    split: tuple[int, int, int]
    field: dict[str, Any]
    options: RunOptions
    versions: dict[str, str]
    base_scale: float | tuple[float, ...] | None = None

    @property
    def manifold(self) -> Manifold:
        """The manifold of the points."""
        return self.coordinates.manifold

    @property
    def base(self) -> Distribution:
        """The law that the flow starts from."""
        if self.base_scale is None:
            return Uniform(self.manifold)
        return WrappedNormal(self.manifold, self.manifold.origin(), torch.tensor(self.base_scale, dtype=torch.float64))

    @property
    def identity(self) -> str:
        """Sixteen hexadecimal digits that differ between runs of other data, networks or options."""
        content = self.to_dict()
        del content["versions"]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """The configuration as JSON values."""
        return {
            "format": _FORMAT,
            "manifold": {"name": type(self.manifold).__name__, "dim": self.manifold.dim},
            **_source_to_dict(self.data),
            "coordinates": self.coordinates.to_dict(),
            "split": dict(zip(("train", "validation", "test"), self.split, strict=True)),
            "base": _base_to_dict(self.base_scale),
            "field": self.field,
            "options": asdict(self.options),
            "versions": self.versions,
        }

    def write(self, folder: Path) -> None:
        """Write `config.json`.

        Raises:
            OutputError: The file could not be written.
        """
        with atomic_write(folder / CONFIG_FILE, "w") as file:
            file.write(json.dumps(self.to_dict(), indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> RunConfig:
        """The configuration in a run folder.

        Raises:
            CheckpointError: The folder is missing, holds no run, or its configuration is damaged.
        """
        path = folder / CONFIG_FILE
        if not folder.is_dir():
            raise CheckpointError(f"there is no run folder {folder}; rmatch train writes one")
        try:
            values = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            raise CheckpointError(f"{folder} is not a run folder: it has no {CONFIG_FILE}") from None
        except OSError as error:
            raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
        except ValueError as error:
            raise CheckpointError(f"{path} is damaged or cut short: {error}") from error
        return cls._from_dict(values, path)

    @classmethod
    def _from_dict(cls, values: Any, path: Path) -> RunConfig:
        if not isinstance(values, dict) or cast("Mapping[str, Any]", values).get("format") != _FORMAT:
            raise CheckpointError(f"{path} is not the configuration of a run, or one of another version of rmatch")
        held = cast("dict[str, Any]", values)
        try:
            parts: tuple[int, int, int] = tuple(held["split"][name] for name in ("train", "validation", "test"))
            config = cls(
                _source_from_dict(held),
                coordinates_from_dict(held["coordinates"]),
                parts,
                dict(held["field"]),
                RunOptions.from_dict(held["options"]),
                dict(held["versions"]),
                _base_from_dict(held["base"]),
            )
            _ = config.base  # an unusable one is found here, not when the flow is
            name, dim = held["manifold"]["name"], held["manifold"]["dim"]
        except (KeyError, TypeError, ValueError) as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise CheckpointError(f"{path} cannot be used: {what}") from error
        if (name, dim) != (type(config.manifold).__name__, config.manifold.dim):
            raise CheckpointError(
                f"{path} names the manifold {name}({dim}), but its coordinates are on {config.manifold}"
            )
        return config


def base_scale(base: Distribution) -> float | tuple[float, ...] | None:
    """What a configuration holds of the law that a flow starts from; see `RunConfig`.

    Raises:
        OptionError: The law is neither uniform nor a wrapped normal one.
    """
    if isinstance(base, Uniform):
        return None
    if not isinstance(base, WrappedNormal):
        raise OptionError(f"a run starts from a uniform or a wrapped normal law, not from {base!r}")
    return tuple(base.scale.tolist()) if base.scale.dim() else float(base.scale)


def _source_to_dict(source: DataSource | DensitySource) -> dict[str, Any]:
    if isinstance(source, DensitySource):
        return {"density": asdict(source) | {"probe": list(source.probe)}}
    return {"data": asdict(source) | {"columns": list(source.columns) if source.columns else None}}


def _source_from_dict(held: Mapping[str, Any]) -> DataSource | DensitySource:
    if "density" in held:
        return DensitySource(**held["density"] | {"probe": tuple(map(float, held["density"]["probe"]))})
    return DataSource(**held["data"] | {"columns": tuple(held["data"]["columns"] or ()) or None})


def _base_to_dict(scale: float | tuple[float, ...] | None) -> dict[str, Any]:
    if scale is None:
        return {"name": "Uniform"}
    return {"name": "WrappedNormal", "scale": list(scale) if isinstance(scale, tuple) else scale}


def _base_from_dict(values: Mapping[str, Any]) -> float | tuple[float, ...] | None:
    if values["name"] == "Uniform":
        return None
    if values["name"] != "WrappedNormal":
        raise OptionError(f"the base {values['name']!r} is unknown")
    scale = values["scale"]
    widths: list[Any] = scale if isinstance(scale, list) else [scale]
    if not all(isinstance(width, int | float) for width in widths):
        raise OptionError(f"the scale of the base is a number or a list of numbers, not {scale!r}")
    return tuple(map(float, widths)) if isinstance(scale, list) else float(widths[0])
