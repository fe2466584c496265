"""The airports of the world: real points on the sphere."""

from __future__ import annotations

import importlib.util
import math

import numpy as np

from rmatch._errors import DependencyError
from rmatch.datasets.base import Dataset, DatasetInfo
from rmatch.datasets.coordinates import LatitudeLongitude
from rmatch.manifolds import Sphere

_SOURCE, _LICENCE = "airportsdata, https://github.com/mborsetti/airportsdata", "MIT"
# Of airportsdata 20260905, which constraints.txt pins; counted afresh where the package is installed.
_ROWS = 7884


def load_airports(*, seed: int = 0) -> Dataset:
    """The airports that have an IATA code, on S².

    Args:
        seed: Not used: nothing is drawn.

    Returns:
        The data set, columns `latitude` and `longitude` in degrees. Rows without coordinates are left out.

    Raises:
        DependencyError: airportsdata is not installed.

    Source: the package airportsdata (MIT).
    """
    coordinates = LatitudeLongitude(Sphere(2), ("latitude", "longitude"), "degrees")
    points = coordinates.to_points(np.array(_degrees()))
    return Dataset("airports", Sphere(2), points, coordinates, source=_SOURCE, licence=_LICENCE)


def airports_info() -> DatasetInfo:
    """What `load("airports")` gives; counted when the package is installed, else as of the pinned version."""
    rows = len(_degrees()) if importlib.util.find_spec("airportsdata") else _ROWS
    text = "airports with an IATA code, as latitude and longitude"
    return DatasetInfo("airports", Sphere(2), rows, _SOURCE, _LICENCE, text)


def _degrees() -> list[tuple[float, float]]:
    """Latitude and longitude of every airport that has both."""
    try:
        import airportsdata
    except ImportError as error:
        raise DependencyError('the airports come with airportsdata: pip install "rmatch[examples]"') from error
    rows = [(airport["lat"], airport["lon"]) for airport in airportsdata.load("IATA").values()]
    return [row for row in rows if all(isinstance(value, float) and math.isfinite(value) for value in row)]
