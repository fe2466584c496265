"""The names that tables give to their columns, and what each name means."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

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


def did_you_mean(wrong: str, right: Iterable[str]) -> str:
    """The end of a sentence that offers the closest of the right names, or nothing when none is close.

    Args:
        wrong: What the user wrote.
        right: What could have been meant.

    Returns:
        `"; did you mean 'NAME'?"`, or an empty string.

    Example:
        >>> from rmatch.datasets._names import did_you_mean
        >>> did_you_mean("latitud", ["Latitude", "Longitude"])
        "; did you mean 'Latitude'?"
    """
    by_key = {name.casefold(): name for name in right}
    close = difflib.get_close_matches(wrong.casefold(), by_key, n=1, cutoff=0.6)
    return f"; did you mean {by_key[close[0]]!r}?" if close else ""


def _letters(name: str) -> str:
    """The name in lower case without spaces, underscores, brackets and the like."""
    return re.sub(r"[^a-z0-9]", "", name.casefold())
