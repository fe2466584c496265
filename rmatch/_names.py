"""Names that a user got almost right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(wrong: str, right: Iterable[str]) -> str:
    """The end of a sentence that offers the closest of the right names, or nothing when none is close.

    Args:
        wrong: What the user wrote.
        right: What could have been meant.

    Returns:
        `"; did you mean 'NAME'?"`, or an empty string.

    Example:
        >>> from rmatch._names import did_you_mean
        >>> did_you_mean("latitud", ["Latitude", "Longitude"])
        "; did you mean 'Latitude'?"
    """
    by_key = {name.casefold(): name for name in right}
    close = difflib.get_close_matches(wrong.casefold(), by_key, n=1, cutoff=0.6)
    return f"; did you mean {by_key[close[0]]!r}?" if close else ""
