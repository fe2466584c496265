"""`rmatch compare`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter


def compare(
    data: str,
    /,
    *,
    output: Annotated[str, Parameter(name=["--output", "-o"])],
    manifold: str | None = None,
    columns: str | None = None,
    unit: Literal["degrees", "radians"] | None = None,
    objectives: Annotated[tuple[Literal["flow", "score", "kl"], ...] | None, Parameter(consume_multiple=True)] = None,
    budget: str = "60s",
    batch_size: int | None = None,
    lr: float | None = None,
    width: int | None = None,
    depth: int | None = None,
    seed: int | None = None,
    overwrite: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Train one network by several objectives on the same data, and write one page that compares them.

    Flow matching, score matching and maximum likelihood on the airports, a minute each:

        rmatch compare airports -o compared

    Two of them on your own table, five minutes each:

        rmatch compare quakes.csv --manifold sphere --objectives flow score --budget 5m -o compared

    The page shows the NLL over time and on the test rows, the cost of a step, the pairing of the trained flows (the
    rate of KL, the score- and flow-matching losses over t), samples side by side, and where each one fails. The folder
    holds comparison.html, which needs no other file, comparison.png and comparison.json.

    Args:
        data: A built-in data set (see rmatch datasets) or a file.
        output: The folder to write to, for example -o compared.
        manifold: What the points lie on, as for rmatch train.
        columns: Names of the columns, or positions from 1.
        unit: Unit of the angles in the table.
        objectives: What to compare: flow, score, kl; by default all that are known on the manifold.
        budget: How long to train by each objective, for example 60s or 5m.
        batch_size: Points in a batch; 512 by default.
        lr: The highest learning rate; 0.002 by default.
        width: Units in each hidden layer; 256 by default.
        depth: Number of hidden layers; 4 by default.
        seed: Seed of the split, the network and the training; 0 by default.
        overwrite: Replace the comparison in the folder.
    """
    from rmatch.cli._compare import CompareRequest, run_comparison
    from rmatch.cli._request import TrainRequest

    given = {
        "data": data,
        "output": output,
        "manifold": manifold,
        "columns": columns,
        "unit": unit,
        "budget": budget,
        "batch_size": batch_size,
        "lr": lr,
        "width": width,
        "depth": depth,
        "seed": seed,
    }
    request = TrainRequest.of(given, None, resume=False, overwrite=overwrite)
    return run_comparison(CompareRequest(request, None if objectives is None else tuple(dict.fromkeys(objectives))))
