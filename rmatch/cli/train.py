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
    objective: Literal["flow", "score", "kl", "reverse-kl"] | None = None,
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

    Without any data: a density that you wrote in Python, unnormalised, to be sampled. Say that bumps.py holds

        import torch

        def log_density(x):  # points (batch, 3) to numbers (batch,), by torch
            return torch.logsumexp(torch.stack([8 * x[:, 0], 8 * x[:, 2]]), 0)

    then the flow that samples it comes from

        rmatch train --objective reverse-kl bumps.py:log_density --manifold sphere:2 -o runs/bumps
        rmatch sample runs/bumps -n 10000 -o samples.csv
        rmatch evaluate runs/bumps

    Ctrl-C leaves a checkpoint; go on from it as if nothing had happened:

        rmatch train --resume -o runs/quakes

    The rows are split 80/10/10 by the seed into training, validation (which chooses the weights to keep) and test. The
    folder then holds the model, its configuration, the metrics as JSON lines, samples in the table's units, and a
    picture; the score on the test rows is printed beside those of the uniform density and a kernel density estimate.

    Args:
        data: A built-in data set (see rmatch datasets) or a file; with --objective reverse-kl a function in a Python
            file, FILE.py:FUNCTION, or a call that makes one, FILE.py:Lattice(2,4). May be left out with --resume.
        output: The folder of the run, for example -o runs/quakes.
        manifold: What the points lie on: sphere (latitude and longitude, or x, y, z), torus (angles), poincare (the
            ball), lorentz (the hyperboloid, time first), spd, so3, euclidean, or product: and its factors. Options
            follow after colons, as in spd:log-euclidean, so3:axis-angle, poincare:curvature=-2 or torus:period=24. A
            density needs the size too, as in torus:8.
        columns: Names of the columns, or positions from 1, for example latitude,longitude. Usual names are recognised.
        unit: Unit of the angles in the table, degrees or radians. Latitude and longitude are taken to be in degrees.
        objective: What to minimise: flow (flow matching, the default), score (denoising score matching; where a heat
            kernel is known), or kl (maximum likelihood through the solver, many times slower a step). Without data:
            reverse-kl, for a density.
        steps: How many steps to train; 8000 by default, 1000 for a density.
        budget: How long to train instead, for example 90s, 5m or 2h; the schedule is fitted to it.
        batch_size: Points in a batch; 512 by default, 128 for a density.
        lr: The highest learning rate; 0.002 by default, 0.003 for a density.
        width: Units in each hidden layer; 256 by default, 64 for a density.
        depth: Number of hidden layers; 4 by default, 3 for a density.
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
