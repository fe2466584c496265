"""The coastlines of the Earth, from the package's own copy of Natural Earth's land polygons at 1:110 million."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def land_rings() -> list[Array]:
    """The closed rings that bound the Earth's land; `coastlines.md` beside this file says where they come from.

    Returns:
        One array per ring: longitude and latitude of its vertices in degrees, shape `(N, 2)`, the last equal to the
        first. Where a ring crosses the date line its longitude jumps by about 360 degrees.

    Example:
        >>> from rmatch.plotting.coastlines import land_rings
        >>> rings = land_rings()
        >>> len(rings), bool((rings[0][0] == rings[0][-1]).all())
        (126, True)
    """
    with (files("rmatch.plotting") / "coastlines.npz").open("rb") as file, np.load(file, allow_pickle=False) as data:
        lon_lat, offsets = data["lon_lat"].astype(np.float64), data["offsets"]
    return np.split(lon_lat, offsets[1:-1])


def coastlines() -> list[Array]:
    """The lines to draw on a map: the land's rings without the edges that lie on the date line.

    Those edges are no coast: they are where the source cut a polygon, such as Wrangel Island's, in two.

    Returns:
        One array per line: longitude and latitude of two or more vertices in degrees, shape `(N, 2)`.

    Example:
        >>> from rmatch.plotting.coastlines import coastlines
        >>> all(line.shape[1] == 2 for line in coastlines())
        True
    """
    lines: list[Array] = []
    for ring in land_rings():
        on_date_line = np.abs(ring[:, 0]) == 180.0
        cuts = np.flatnonzero(on_date_line[:-1] & on_date_line[1:]) + 1
        lines += [piece for piece in np.split(ring, cuts) if len(piece) > 1]
    return lines
