"""The names that tables give to their columns, and what each name means."""

from __future__ import annotations

import re

_UNIT = r"(s|deg|degs|degree|degrees|dd|decimal|decimaldegrees|rad|radians|wgs84)?"
_LATITUDE = re.compile(rf"(decimal|geo|gps|rec|gg)?(lat|latitude)(n|north)?{_UNIT}(n|north)?")
_LONGITUDE = re.compile(rf"(decimal|geo|gps|rec|gg)?(lon|long|lng|longitude)(e|east)?{_UNIT}(e|east)?")
_ANGLE = re.compile(
    r"(phi|psi|omega|theta|chi\d?|tau|alpha|beta|gamma|delta|epsilon|zeta|angle\d*)(deg|degrees|rad|radians)?"
)


def is_latitude(name: str) -> bool:
    """Whether a column of this name holds latitudes: `lat`, `Latitude`, `latitude_deg`, `decimalLatitude`, ...

    Args:
        name: Header text, in any case.

    Example:
        >>> from rmatch.datasets._names import is_latitude
        >>> [is_latitude(name) for name in ("LATITUDE", "lat (deg)", "flat", "longitude")]
        [True, True, False, False]
    """
    return _LATITUDE.fullmatch(_letters(name)) is not None


def is_longitude(name: str) -> bool:
    """Whether a column of this name holds longitudes: `lon`, `long`, `lng`, `Longitude`, `longitude_deg`, ...

    Args:
        name: Header text, in any case.

    Example:
        >>> from rmatch.datasets._names import is_longitude
        >>> [is_longitude(name) for name in ("Long", "lng", "length")]
        [True, True, False]
    """
    return _LONGITUDE.fullmatch(_letters(name)) is not None


def is_known(name: str) -> bool:
    """Whether the name is one that tables of points on a sphere or a torus use, which tells a header from a title.

    Args:
        name: Header text, in any case.
    """
    letters = _letters(name)
    return is_latitude(name) or is_longitude(name) or letters in {"x", "y", "z"} or bool(_ANGLE.fullmatch(letters))


def _letters(name: str) -> str:
    """The name in lower case without spaces, underscores, brackets and the like."""
    return re.sub(r"[^a-z0-9]", "", name.casefold())
