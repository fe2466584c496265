"""`rmatch evaluate`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter


def evaluate(
    folder: str,
    data: str | None = None,
    /,
    *,
    split: Literal["train", "validation", "test"] | None = None,
    columns: str | None = None,
    unit: Literal["degrees", "radians"] | None = None,
    number: Annotated[int | None, Parameter(name=["--number", "-n"])] = None,
    output_format: Annotated[Literal["text", "json"], Parameter(name="--format")] = "text",
) -> int:
    """Score a trained flow: the negative log-likelihood per row, in nats, lower is better.

    On the held-out test rows, on other rows of the run, or on a new table with the same columns:

        rmatch evaluate runs/quakes
        rmatch evaluate runs/quakes --split validation
        rmatch evaluate runs/quakes new_quakes.csv

    As one JSON object, for a program:

        rmatch evaluate runs/quakes --format json

    A run that learned a density (--objective reverse-kl) draws samples and weighs them by it; the effective sample size
    says how many of them count:

        rmatch evaluate runs/bumps -n 100000

    Also printed: how many evaluations of the field the solver needed, and how far a trajectory left the manifold.

    Args:
        folder: The folder of a run.
        data: A table, or a built-in data set, to score instead of the run's own rows.
        split: Which of the run's own rows to score; test by default.
        columns: The columns of the table, when they are not those of the training table.
        unit: The unit of the table, when it is not that of the training table.
        number: How many samples to weigh, for a run that learned a density; 10000 by default.
        output_format: text, or json for one object with nll, nll_stderr, n, nfe and constraint_violation; for a density
            with ess, log_z, kl and unnormalised_kl (which is kl - log_z), each with its _stderr, and n, nfe and
            constraint_violation.
    """
    from rmatch.cli._evaluate import run_evaluation

    return run_evaluation(
        folder,
        data,
        split=split,
        columns=columns,
        unit=unit,
        number=number,
        as_json=output_format == "json",
    )
