"""Data sets: built-in ones, the user's own tables, and how to split them.

`load` gives a built-in data set by name, `read_table` one from a file; both return a `Dataset`, whose `to_table`
writes points back in the units and columns of the table.
"""

from __future__ import annotations

from rmatch._errors import OptionError
from rmatch._names import did_you_mean
from rmatch.datasets._read import read_table
from rmatch.datasets._split import MINIMUM_ROWS, Split, split, split_by_site
from rmatch.datasets.airports import airports_info, load_airports
from rmatch.datasets.base import Dataset, DatasetInfo
from rmatch.datasets.coordinates import (
    WORDS,
    Angles,
    AxisAngles,
    BallPoints,
    Coordinates,
    FactorColumns,
    HyperboloidPoints,
    LatitudeLongitude,
    Problem,
    Quaternions,
    RotationMatrices,
    SymmetricMatrices,
    UnitVectors,
    UpperTriangles,
    Vectors,
    coordinates_from_dict,
    usual_coordinates,
)
from rmatch.datasets.ramachandran import load_ramachandran, ramachandran_info

__all__ = [
    "MINIMUM_ROWS",
    "WORDS",
    "Angles",
    "AxisAngles",
    "BallPoints",
    "Coordinates",
    "Dataset",
    "DatasetInfo",
    "FactorColumns",
    "HyperboloidPoints",
    "LatitudeLongitude",
    "Problem",
    "Quaternions",
    "RotationMatrices",
    "Split",
    "SymmetricMatrices",
    "UnitVectors",
    "UpperTriangles",
    "Vectors",
    "available",
    "coordinates_from_dict",
    "load",
    "read_table",
    "split",
    "split_by_site",
    "usual_coordinates",
]

_BUILT_IN = {"airports": (load_airports, airports_info), "ramachandran": (load_ramachandran, ramachandran_info)}


def load(name: str, *, seed: int = 0) -> Dataset:
    """A built-in data set.

    Args:
        name: `"airports"` (S²) or `"ramachandran"` (T²); `available` describes them.
        seed: For data sets that draw something: the places of Ramachandran's residues in their bins.

    Returns:
        The data set.

    Raises:
        OptionError: There is no data set of this name.
        DependencyError: The package that carries it is not installed; the text gives the command.

    Example:
        >>> from rmatch.datasets import load
        >>> airports = load("airports")
        >>> airports.manifold, airports.columns, airports.points.shape[1:]
        (Sphere(2), ('latitude', 'longitude'), torch.Size([3]))
    """
    if name not in _BUILT_IN:
        names = ", ".join(_BUILT_IN)
        raise OptionError(f"no built-in data set {name!r}; there are: {names}{did_you_mean(name, _BUILT_IN)}")
    if seed < 0:
        raise OptionError(f"a seed is 0 or larger, got {seed}")
    return _BUILT_IN[name][0](seed=seed)


def available() -> tuple[DatasetInfo, ...]:
    """What is built in: name, manifold, rows, source, licence and a line of description.

    Rows are counted in the package that carries the data, or are those of its pinned version when it is not installed.

    Example:
        >>> from rmatch.datasets import available
        >>> [(info.name, info.manifold) for info in available()]
        [('airports', Sphere(2)), ('ramachandran', Torus(2))]
    """
    return tuple(info() for _, info in _BUILT_IN.values())
