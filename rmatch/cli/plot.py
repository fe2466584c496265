"""`rmatch plot`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter


def plot(
    folder: str,
    /,
    *,
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    resolution: int = 96,
) -> int:
    """Draw the density of a trained flow with the data: a world map and a globe, a square of angles, a disc, ...

    Into the folder, or to a file of another format:

        rmatch plot runs/quakes
        rmatch plot runs/quakes -o quakes.pdf

    A run that learned a density is drawn above that density, or where a manifold has no such picture as samples.

    Args:
        folder: The folder of a run.
        output: The .png, .pdf or .svg file to write; density.png in the folder by default.
        resolution: Rows of the grid on which the density is evaluated; the time grows with its square.
    """
    from pathlib import Path

    from rmatch.cli._density import density_of
    from rmatch.cli._picture import draw_picture, draw_target_picture, require_picture_name
    from rmatch.training import DensitySource, load_run
    from rmatch.training.run import PICTURE_FILE

    target = Path(folder) / PICTURE_FILE if output is None else Path(output)
    require_picture_name(target)
    run = load_run(folder)
    if isinstance(run.config.data, DensitySource):
        draw_target_picture(run, density_of(run), target, resolution=resolution)
    else:
        draw_picture(run, target, resolution=resolution)
    print(f"wrote {target}")
    return 0
