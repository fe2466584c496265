"""Maps of the sphere on the plane: Mollweide for the whole of it, orthographic for the half that faces the viewer.

Longitudes λ and latitudes φ are in degrees; a unit vector is (cos φ cos λ, cos φ sin λ, sin φ).
Formulas: J. P. Snyder, "Map Projections: A Working Manual", USGS Professional Paper 1395 (1987), chapters 20 and 31.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# Half the axes of the ellipse that the Mollweide projection fills.
MOLLWEIDE_HALF_WIDTH = 2.0 * np.sqrt(2.0)
MOLLWEIDE_HALF_HEIGHT = np.sqrt(2.0)


def to_unit_vectors(longitude: ArrayLike, latitude: ArrayLike) -> Array:
    """Unit vectors of points given by longitude and latitude.

    Args:
        longitude: Degrees, shape `(...)`.
        latitude: Degrees, shape `(...)`.

    Returns:
        Unit vectors, shape `(..., 3)`.

    Example:
        >>> from rmatch.plotting.projections import to_unit_vectors
        >>> [round(float(c), 12) for c in to_unit_vectors(90.0, 0.0)]
        [0.0, 1.0, 0.0]
    """
    lon, lat = np.radians(np.asarray(longitude, float)), np.radians(np.asarray(latitude, float))
    return np.stack(np.broadcast_arrays(np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)), axis=-1)


def to_longitude_latitude(points: ArrayLike) -> tuple[Array, Array]:
    """Longitude in [-180, 180] and latitude, in degrees, of points of the sphere.

    Args:
        points: Unit vectors, shape `(..., 3)`.

    Returns:
        The longitudes and the latitudes, each of shape `(...)`.

    Example:
        >>> from rmatch.plotting.projections import to_longitude_latitude
        >>> longitude, latitude = to_longitude_latitude([0.0, -1.0, 0.0])
        >>> float(longitude), float(latitude)
        (-90.0, 0.0)
    """
    x, y, z = np.moveaxis(np.asarray(points, float), -1, 0)
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))


def mollweide(longitude: ArrayLike, latitude: ArrayLike) -> tuple[Array, Array]:
    """Project on the equal-area Mollweide map, an ellipse with half axes 2√2 and √2.

    x = (2√2/π) λ cos θ and y = √2 sin θ, where 2θ + sin 2θ = π sin φ (Snyder, equations 31-1 to 31-3).

    Args:
        longitude: Degrees in [-180, 180], shape `(...)`.
        latitude: Degrees in [-90, 90], shape `(...)`.

    Returns:
        x and y on the map, each of shape `(...)`.

    Example:
        >>> from rmatch.plotting.projections import mollweide
        >>> x, y = mollweide(180.0, 0.0)
        >>> round(float(x), 6), round(float(y), 6)
        (2.828427, 0.0)
    """
    lon, lat = np.radians(np.asarray(longitude, float)), np.radians(np.asarray(latitude, float))
    theta = _auxiliary_angle(lat)
    return 2.0 * np.sqrt(2.0) / np.pi * lon * np.cos(theta), np.sqrt(2.0) * np.sin(theta)


def mollweide_inverse(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Longitude and latitude of points of the Mollweide map; NaN outside the ellipse.

    Snyder, equations 31-6 to 31-8.

    Args:
        x: Positions across the map, shape `(...)`.
        y: Positions up the map, shape `(...)`.

    Returns:
        The longitudes and the latitudes in degrees, each of shape `(...)`.

    Example:
        >>> from rmatch.plotting.projections import mollweide, mollweide_inverse
        >>> longitude, latitude = mollweide_inverse(*mollweide(100.0, -40.0))
        >>> round(float(longitude), 9), round(float(latitude), 9)
        (100.0, -40.0)
    """
    x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
    inside = (x / MOLLWEIDE_HALF_WIDTH) ** 2 + (y / MOLLWEIDE_HALF_HEIGHT) ** 2 < 1.0
    x, y = np.where(inside, x, np.nan), np.where(inside, y, np.nan)
    theta = np.arcsin(y / np.sqrt(2.0))
    lat = np.arcsin((2.0 * theta + np.sin(2.0 * theta)) / np.pi)
    lon = np.pi * x / (2.0 * np.sqrt(2.0) * np.cos(theta))
    return np.degrees(lon), np.degrees(lat)


def view_frame(centre: ArrayLike) -> Array:
    """The directions right, up and towards the viewer of the orthographic view centred on a point.

    Right is east and up is north; at a pole, where there is no east, right is east at longitude 0.

    Args:
        centre: Unit vector, shape `(3,)`.

    Returns:
        Rows right, up, towards; shape `(3, 3)`, a rotation.

    Example:
        >>> from rmatch.plotting.projections import view_frame
        >>> right, up, towards = view_frame([1.0, 0.0, 0.0])
        >>> (right + 0.0).tolist(), (up + 0.0).tolist()
        ([0.0, 1.0, 0.0], [0.0, 0.0, 1.0])
    """
    towards = np.asarray(centre, float)
    length = np.hypot(towards[0], towards[1])
    right = np.array([-towards[1], towards[0], 0.0]) / length if length > 0.0 else np.array([0.0, 1.0, 0.0])
    return np.stack([right, np.cross(towards, right), towards])


def orthographic(points: ArrayLike, centre: ArrayLike) -> tuple[Array, Array, Array]:
    """Project on the plane as seen from infinitely far above `centre`; the visible half fills the unit disc.

    x = <p, right>, y = <p, up> and the depth is <p, centre> (Snyder, equations 20-3 to 20-5).

    Args:
        points: Unit vectors, shape `(..., 3)`.
        centre: Unit vector that faces the viewer, shape `(3,)`.

    Returns:
        x, y and the depth, each of shape `(...)`; a point of negative depth is hidden, one of depth 0 is on the limb.

    Example:
        >>> from rmatch.plotting.projections import orthographic
        >>> x, y, depth = orthographic([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]], [1.0, 0.0, 0.0])
        >>> y.tolist(), depth.tolist()
        ([1.0, 0.0], [0.0, -1.0])
    """
    x, y, depth = np.moveaxis(np.asarray(points, float) @ view_frame(centre).T, -1, 0)
    return x, y, depth


def orthographic_inverse(x: ArrayLike, y: ArrayLike, centre: ArrayLike) -> tuple[Array, Array]:
    """Longitude and latitude of points of the orthographic view; NaN outside the disc.

    Args:
        x: Positions across the view, shape `(...)`.
        y: Positions up the view, shape `(...)`.
        centre: Unit vector that faces the viewer, shape `(3,)`.

    Returns:
        The longitudes and the latitudes in degrees, each of shape `(...)`.

    Example:
        >>> from rmatch.plotting.projections import orthographic_inverse
        >>> longitude, latitude = orthographic_inverse(0.0, 0.5, [1.0, 0.0, 0.0])
        >>> float(longitude), round(float(latitude), 9)
        (0.0, 30.0)
    """
    x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
    squared = x * x + y * y
    depth = np.sqrt(np.where(squared < 1.0, 1.0 - squared, np.nan))
    return to_longitude_latitude(np.stack([x, y, depth], axis=-1) @ view_frame(centre))


def mollweide_lines(line: Array) -> list[Array]:
    """Project a line on the Mollweide map, cut where it crosses the date line.

    Args:
        line: Longitude and latitude of the vertices in degrees, shape `(N, 2)`; a jump of more than 180 degrees between
            two vertices is a crossing.

    Returns:
        The pieces, each the x and y of two or more vertices, shape `(K, 2)`.

    Example:
        >>> import numpy as np
        >>> from rmatch.plotting.projections import mollweide_lines
        >>> [piece.shape for piece in mollweide_lines(np.array([[170.0, 0.0], [-170.0, 0.0], [-160.0, 0.0]]))]
        [(2, 2), (3, 2)]
    """
    pieces = _split_at_date_line(np.asarray(line, float))
    return [np.stack(mollweide(piece[:, 0], piece[:, 1]), axis=-1) for piece in pieces]


def orthographic_lines(line: Array, centre: ArrayLike) -> list[Array]:
    """Project a line on the orthographic view, cut where the great circle between two vertices passes the limb.

    The cut of the arc from a to b, at depths α = <a, c> and β = <b, c> of opposite signs, is αb - βa, normalised.

    Args:
        line: Longitude and latitude of the vertices in degrees, shape `(N, 2)`.
        centre: Unit vector that faces the viewer, shape `(3,)`.

    Returns:
        The visible pieces, each the x and y of two or more vertices, shape `(K, 2)`.

    Example:
        >>> import numpy as np
        >>> from rmatch.plotting.projections import orthographic_lines
        >>> (piece,) = orthographic_lines(np.array([[60.0, 0.0], [120.0, 0.0]]), [1.0, 0.0, 0.0])
        >>> piece.round(6).tolist()
        [[0.866025, 0.0], [1.0, 0.0]]
    """
    vertices = np.stack(orthographic(to_unit_vectors(line[:, 0], line[:, 1]), centre), axis=-1)
    visible = vertices[:, 2] >= 0.0
    crossing = np.flatnonzero(visible[:-1] != visible[1:])
    before, after = vertices[crossing], vertices[crossing + 1]
    cuts = before[:, 2:] * after - after[:, 2:] * before
    cuts /= np.linalg.norm(cuts, axis=-1, keepdims=True)
    cuts *= np.where(visible[crossing], 1.0, -1.0)[:, None]
    full = np.insert(vertices, crossing + 1, cuts, axis=0)
    shown = np.insert(visible, crossing + 1, True)
    breaks = np.flatnonzero(shown[:-1] != shown[1:]) + 1
    pieces = np.split(full[:, :2], breaks)
    return [piece for piece, seen in zip(pieces, shown[[0, *breaks]], strict=True) if seen and len(piece) > 1]


def _auxiliary_angle(lat: Array) -> Array:
    """The angle θ with 2θ + sin 2θ = π sin φ, by Newton's method and, near the poles, its series.

    Within 1e-3 of a pole Newton's method has a double root; there (π/2 - θ)³ = (3π/8)(π/2 - φ)² to leading order, with
    a relative error of about (π/2 - θ)²/5, below 1e-2 of a pixel.
    """
    target = np.pi * np.sin(lat)
    gap = 0.5 * np.pi - np.abs(lat)
    theta = np.sign(lat) * (0.5 * np.pi - np.cbrt(3.0 * np.pi / 8.0 * gap * gap))
    regular = gap > 1e-3
    for _ in range(30):
        slope = np.where(regular, 2.0 + 2.0 * np.cos(2.0 * theta), 1.0)
        step = np.where(regular, (2.0 * theta + np.sin(2.0 * theta) - target) / slope, 0.0)
        theta = theta - step
        if not np.any(np.abs(step) > 1e-13):
            break
    return theta


def _split_at_date_line(line: Array) -> list[Array]:
    """The pieces of a line between its crossings of the date line, which each piece reaches."""
    jumps = np.flatnonzero(np.abs(np.diff(line[:, 0])) > 180.0)
    pieces: list[Array] = []
    start: list[Array] = []
    begin = 0
    for jump in jumps:
        (lon_a, lat_a), (lon_b, lat_b) = line[jump], line[jump + 1]
        side = 180.0 if lon_a > lon_b else -180.0
        span = lon_b + 2.0 * side - lon_a
        fraction = (side - lon_a) / span if span != 0.0 else 0.0
        latitude = lat_a + fraction * (lat_b - lat_a)
        pieces.append(np.concatenate([*start, line[begin : jump + 1], [[side, latitude]]]))
        start, begin = [np.array([[-side, latitude]])], int(jump) + 1
    pieces.append(np.concatenate([*start, line[begin:]]))
    return [piece for piece in pieces if len(piece) > 1]
