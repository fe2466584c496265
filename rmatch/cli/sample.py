"""`rmatch sample`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter


def sample(
    folder: str,
    /,
    *,
    number: Annotated[int, Parameter(name=["--number", "-n"])] = 1000,
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    seed: int = 0,
) -> int:
    """Draw samples from a trained flow, in the columns and units of the table that it was trained on.

    To a file, or a few to the terminal:

        rmatch sample runs/quakes -n 10000 -o samples.csv
        rmatch sample runs/quakes -n 5 --seed 1

    Args:
        folder: The folder of a run.
        number: How many samples.
        output: The CSV file to write; standard output by default.
        seed: The same seed gives the same samples.
    """
    import sys

    from rmatch.training import load_run
    from rmatch.training.run import draw, write_rows, write_table

    run = load_run(folder)
    points = draw(run, number, seed=seed)
    if output is None:
        write_rows(sys.stdout, run.coordinates, points)
    else:
        write_table(output, run.coordinates, points)
        print(f"wrote {number} samples to {output}", file=sys.stderr)
    return 0
