"""What each objective of `rmatch train` trains, and how the result is a flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from rmatch._errors import OptionError
from rmatch.distributions import Distribution
from rmatch.fields import TangentMLP
from rmatch.objectives import FlowMatching, MaximumLikelihood, ScoreMatching
from rmatch.paths import Diffusion, FlowPath, GeodesicPath, ProbabilityFlow, ScoreModel
from rmatch.solvers import Solver
from rmatch.training._trainer import Objective
from rmatch.training.options import OBJECTIVES

_FINEST = 0.25  # the noise that score matching leaves on the data, in units of the finest wavelength of the network


@dataclass(frozen=True)
class Recipe:
    """How one network is trained by one objective.

    Args:
        model: What `fit` trains: the network, or a score around it.
        objective: What it minimises.
        base: The law that the flow starts from.
        diffusion: How the data are noised, for score matching.
    """

    model: nn.Module
    objective: Objective
    base: Distribution
    diffusion: Diffusion | None = None

    @classmethod
    def of(cls, name: str, network: TangentMLP, base: Distribution) -> Recipe:
        """The recipe of an objective.

        Args:
            name: One of `OBJECTIVES`: `"flow"` (flow matching on geodesics), `"score"` (denoising score matching under
                Brownian motion) or `"kl"` (maximum likelihood through the solver).
            network: The network.
            base: The law that a flow starts from; a diffusion has its own.

        Raises:
            OptionError: The name is unknown, or score matching is asked for where no heat kernel is known.
        """
        manifold = network.manifold
        if name == "flow":
            return cls(network, FlowMatching(GeodesicPath(manifold), base=base), base)
        if name == "kl":
            return cls(network, MaximumLikelihood(base), base)
        if name != "score":
            raise OptionError(f"unknown objective {name!r}; use one of {', '.join(OBJECTIVES)}")
        finest = max(1.0, *network.config["frequencies"], float(network.config["harmonics"]))
        diffusion = Diffusion(manifold, smallest=_FINEST / finest)
        return cls(ScoreModel(network, diffusion), ScoreMatching(diffusion), diffusion.base, diffusion)

    def flow(self, solver: Solver, model: Any | None = None) -> FlowPath:
        """The flow of the trained model; `model` stands in for it where its weights are averaged."""
        trained: Any = self.model if model is None else model
        field = trained if self.diffusion is None else ProbabilityFlow(trained, self.diffusion)
        return FlowPath(field, base=self.base, solver=solver)
