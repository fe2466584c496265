"""What each objective of `rmatch train` trains, and how the result is a flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from rmatch._errors import OptionError
from rmatch._typing import ScalarFunction
from rmatch.distributions import Distribution
from rmatch.fields import TangentMLP
from rmatch.objectives import FlowMatching, MaximumLikelihood, ReverseKL, ScoreMatching
from rmatch.paths import Diffusion, FlowPath, GeodesicPath, ProbabilityFlow, ScoreModel
from rmatch.solvers import RK4, Solver
from rmatch.training._trainer import Objective
from rmatch.training.options import OBJECTIVES, REVERSE_KL

_FINEST = 0.25  # the noise that score matching leaves on the data, in units of the finest wavelength of the network
_STEPS = 8  # of RK4 for the samples of reverse KL; with 4 or 6 training learns to use the solver's error after a while


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
    def of(
        cls, name: str, network: TangentMLP, base: Distribution, log_density: ScalarFunction | None = None
    ) -> Recipe:
        """The recipe of an objective.

        Args:
            name: One of `OBJECTIVES`: `"flow"` (flow matching on geodesics), `"score"` (denoising score matching under
                Brownian motion) or `"kl"` (maximum likelihood through the solver); or `"reverse-kl"`.
            network: The network.
            base: The law that a flow starts from; a diffusion has its own.
            log_density: The target of reverse KL, up to a constant.

        Raises:
            OptionError: The name is unknown, score matching is asked for where no heat kernel is known, or reverse KL
                without a target.
        """
        manifold = network.manifold
        if name == "flow":
            return cls(network, FlowMatching(GeodesicPath(manifold), base=base), base)
        if name == "kl":
            return cls(network, MaximumLikelihood(base), base)
        if name == REVERSE_KL:
            if log_density is None:
                raise OptionError("reverse KL needs a log-density to learn; data are for the other objectives")
            return cls(network, ReverseKL(log_density, base, solver=RK4(_STEPS)), base)
        if name != "score":
            raise OptionError(f"unknown objective {name!r}; use one of {', '.join((*OBJECTIVES, REVERSE_KL))}")
        finest = max(1.0, *network.config["frequencies"], float(network.config["harmonics"]))
        diffusion = Diffusion(manifold, smallest=_FINEST / finest)
        return cls(ScoreModel(network, diffusion), ScoreMatching(diffusion), diffusion.base, diffusion)

    def flow(self, solver: Solver, model: Any | None = None) -> FlowPath:
        """The flow of the trained model; `model` stands in for it where its weights are averaged."""
        trained: Any = self.model if model is None else model
        field = trained if self.diffusion is None else ProbabilityFlow(trained, self.diffusion)
        return FlowPath(field, base=self.base, solver=solver)


def trained_flow(name: str, network: TangentMLP, base: Distribution, solver: Solver) -> FlowPath:
    """The flow of a network that was trained by an objective.

    Args:
        name: The objective, as for `Recipe.of`.
        network: The network.
        base: As for `Recipe.of`.
        solver: How to integrate.
    """
    if name == REVERSE_KL:  # its field needs no target any more
        return FlowPath(network, base=base, solver=solver)
    return Recipe.of(name, network, base).flow(solver)
