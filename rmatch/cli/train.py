"""`rmatch train`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter


def train(
    data: str | None = None,
    /,
    *,
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    manifold: str | None = None,
    columns: str | None = None,
    unit: Literal["degrees", "radians"] | None = None,
    objective: Literal["flow", "score", "kl"] | None = None,
    steps: int | None = None,
    budget: str | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    width: int | None = None,
    depth: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    config: str | None = None,
    resume: Annotated[bool, Parameter(negative=())] = False,
    overwrite: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Train a flow on points of a sphere, a torus, hyperbolic space, matrices, rotations, or a product of these.

    Built-in data, to begin with:

        rmatch train airports -o runs/airports
        rmatch train ramachandran -o runs/ramachandran

    Places on the globe, from a CSV, TSV, .npy or Parquet file; train for five minutes:

        rmatch train quakes.csv --manifold sphere -o runs/quakes --budget 5m

    Any number of angles, one column each:

        rmatch train angles.tsv --manifold torus --columns phi,psi --unit degrees -o runs/angles

    Points of the Poincaré disc, positive definite matrices (the upper triangle, or a .npy of matrices), rotations
    (quaternions, axis times angle, or matrices), and several such things in one row:

        rmatch train tree.csv --manifold poincare -o runs/tree
        rmatch train covariances.npy --manifold spd -o runs/covariances
        rmatch train poses.csv --manifold so3 --columns qw,qx,qy,qz -o runs/poses
        rmatch train wind.csv --manifold product:sphere2,torus1 --columns lat,lon,direction -o runs/wind

    Ctrl-C leaves a checkpoint; go on from it as if nothing had happened:

        rmatch train --resume -o runs/quakes

    The rows are split 80/10/10 by the seed into training, validation (which chooses the weights to keep) and test. The
    folder then holds the model, its configuration, the metrics as JSON lines, samples in the table's units, and a
    picture; the score on the test rows is printed beside those of the uniform density and a kernel density estimate.

    Args:
        data: A built-in data set (see rmatch datasets) or a file. May be left out with --resume.
        output: The folder of the run, for example -o runs/quakes.
        manifold: What the points lie on: sphere (latitude and longitude, or x, y, z), torus (angles), poincare (the
            ball), lorentz (the hyperboloid, time first), spd, so3, euclidean, or product: and its factors. Options
            follow after colons, as in spd:log-euclidean, so3:axis-angle, poincare:curvature=-2 or torus:period=24.
        columns: Names of the columns, or positions from 1, for example latitude,longitude. Usual names are recognised.
        unit: Unit of the angles in the table, degrees or radians. Latitude and longitude are taken to be in degrees.
        objective: What to minimise: flow (flow matching, the default), score (denoising score matching; where a heat
            kernel is known), or kl (maximum likelihood through the solver, many times slower a step).
        steps: How many steps to train; 8000 by default.
        budget: How long to train instead, for example 90s, 5m or 2h; the schedule is fitted to it.
        batch_size: Points in a batch; 512 by default.
        lr: The highest learning rate; 0.002 by default.
        width: Units in each hidden layer; 256 by default.
        depth: Number of hidden layers; 4 by default.
        seed: Seed of the split, the network and the training; 0 by default.
        device: Where to train: cpu (the default), cuda, cuda:1, mps.
        config: A TOML file with any of these options, for example budget = "5m"; the command line comes first.
        resume: Go on from the checkpoint in the folder. All options come from there.
        overwrite: Replace the run in the folder, once the new training has begun.
    """
    from rmatch.cli._request import TrainRequest
    from rmatch.cli._train import run_training

    given = {
        "data": data,
        "output": output,
        "manifold": manifold,
        "columns": columns,
        "unit": unit,
        "objective": objective,
        "steps": steps,
        "budget": budget,
        "batch_size": batch_size,
        "lr": lr,
        "width": width,
        "depth": depth,
        "seed": seed,
        "device": device,
    }
    return run_training(TrainRequest.of(given, config, resume=resume, overwrite=overwrite))
