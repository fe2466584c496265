"""Training on a density that the user wrote, without data."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from rmatch._errors import OptionError
from rmatch.cli._data import asked_manifold
from rmatch.cli._density import UserDensity, load_density, require_density
from rmatch.cli._evaluate import evaluate_density, target_lines
from rmatch.cli._job import Job, Outcome, versions
from rmatch.cli._request import TrainRequest
from rmatch.datasets import usual_coordinates
from rmatch.distributions import Distribution, default_base
from rmatch.fields import TangentMLP, choose_features
from rmatch.manifolds import Manifold, Torus
from rmatch.solvers import DormandPrince
from rmatch.training import FitResult, Run, RunConfig, RunOptions
from rmatch.training.config import base_scale
from rmatch.training.options import DENSITY_SCORE_SAMPLES, DENSITY_SCORE_TOLERANCE
from rmatch.training.progress import duration
from rmatch.training.recipe import Recipe
from rmatch.training.target import divergence_score

_DRAWS = 1000  # of the law that the flow starts from, whose size tells the size of features and velocities
_FREQUENCIES = (1.0, 4.0)
_HARMONICS = 2  # of each angle on a torus of more than two, where random waves across all of them tell nothing


class DensityJob(Job):
    """A training on a density; arguments as for `Job`, and the density."""

    score = ("KL up to log Z", "unnormalised_kl")

    def __init__(
        self, folder: Path, config: RunConfig, field: TangentMLP, density: UserDensity, *, resume: bool
    ) -> None:
        super().__init__(folder, config, field, resume=resume)
        self.density = density

    @classmethod
    def begin(cls, request: TrainRequest, options: RunOptions) -> DensityJob:
        """A new run; everything that can be wrong with the request is found here, before the folder is touched."""
        if request.data is None:
            raise OptionError("say which density to learn: FILE.py:FUNCTION, for example xy.py:log_density")
        for name, value in (("--columns", request.columns), ("--unit", request.unit)):
            if value is not None:
                raise OptionError(f"{name} is about tables; leave it out with --objective reverse-kl")
        density = load_density(request.data)
        manifold = _manifold(request.manifold)
        base = default_base(manifold)
        require_density(density, base)
        field = _network(manifold, base, options)
        config = RunConfig(
            data=density.source(base),
            coordinates=usual_coordinates(manifold),
            split=(0, 0, 0),
            field=field.config,
            options=options,
            versions=versions(),
            base_scale=base_scale(base),
        )
        return cls(request.folder, config, field, density, resume=False)

    def recipe(self) -> Recipe:
        """Reverse KL."""
        return Recipe.of(self.config.options.objective, self.field, self.config.base, self.density)

    def points(self) -> None:
        """The flow draws its own."""

    def scorer(self, recipe: Recipe) -> Callable[[nn.Module], float]:
        """The divergence up to the constant, over the same draws every time."""
        solver = DormandPrince(DENSITY_SCORE_TOLERANCE, DENSITY_SCORE_TOLERANCE)
        return divergence_score(lambda model: recipe.flow(solver, model), self.density, samples=DENSITY_SCORE_SAMPLES)

    def outcome(self, run: Run, result: FitResult) -> Outcome:
        """The effective sample size, and what the weights of the samples tell."""
        print("weighing samples of the flow", file=sys.stderr)
        evaluation = evaluate_density(run, self.density)
        first = (
            f"trained {result.steps:,} steps in {duration(result.seconds)}; the best weights are those of step "
            f"{result.best_step:,}"
        )
        return Outcome("evaluation", asdict(evaluation), [first, *target_lines(evaluation)])

    def picture(self, run: Run, target: Path, resolution: int) -> None:
        """The flow beside the density."""
        from rmatch.cli._picture import draw_target_picture

        draw_target_picture(run, self.density, target, resolution=resolution)


def _manifold(text: str | None) -> Manifold:
    spec = asked_manifold(text)
    if spec is None:
        raise OptionError("say what the points of the density lie on, for example --manifold sphere:2 or torus:8")
    if any(part.words for part in (spec, *spec.factors)):
        raise OptionError(f"--manifold {text}: a density has no columns; say the manifold alone")
    return spec.build()


def _network(manifold: Manifold, base: Distribution, options: RunOptions) -> TangentMLP:
    """A network of the size of the law that the flow starts from, with waves for a target of unknown smoothness."""
    draws = base.sample((_DRAWS,), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    many_angles = isinstance(manifold, Torus) and manifold.dim > 2
    chosen = choose_features(manifold, draws)._replace(
        frequencies=() if many_angles else _FREQUENCIES, harmonics=_HARMONICS if many_angles else 0
    )
    return TangentMLP(manifold, options.width, options.depth, **chosen._asdict(), seed=options.seed)
