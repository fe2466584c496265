"""`rmatch datasets`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter


def datasets(*, output_format: Annotated[Literal["text", "json"], Parameter(name="--format")] = "text") -> int:
    """List the data sets that are built in, with rows, source and licence.

    See what there is, and train on one by its name:

        rmatch datasets
        rmatch train airports -o runs/airports

    Args:
        output_format: text, or json for a list of objects.
    """
    import json
    from dataclasses import asdict

    from rmatch.datasets import available

    infos = available()
    if output_format == "json":
        print(json.dumps([asdict(info) | {"manifold": repr(info.manifold)} for info in infos], indent=2))
        return 0
    for info in infos:
        print(f"{info.name}: {info.rows:,} points on {info.manifold}; {info.description}")
        print(f"    source: {info.source}; licence: {info.licence}")
    return 0
