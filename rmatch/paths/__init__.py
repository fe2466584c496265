"""Probability paths, the conditional paths that they are mixtures of, schedules and couplings."""

from rmatch.paths.base import ConditionalPath, PathSample, ProbabilityPath
from rmatch.paths.couplings import Coupling, Independent, OptimalTransport
from rmatch.paths.diffusion import Diffusion, NoisedSample, ProbabilityFlow, ScoreModel
from rmatch.paths.empirical import EmpiricalPath
from rmatch.paths.flow import FlowPath
from rmatch.paths.geodesic import GeodesicPath
from rmatch.paths.heat import HeatPath
from rmatch.paths.interpolant import StochasticInterpolant
from rmatch.paths.posterior import posterior_velocity
from rmatch.paths.schedules import Cosine, Linear, Polynomial, Schedule

__all__ = [
    "ConditionalPath",
    "Cosine",
    "Coupling",
    "Diffusion",
    "EmpiricalPath",
    "FlowPath",
    "GeodesicPath",
    "HeatPath",
    "Independent",
    "Linear",
    "NoisedSample",
    "OptimalTransport",
    "PathSample",
    "Polynomial",
    "ProbabilityFlow",
    "ProbabilityPath",
    "Schedule",
    "ScoreModel",
    "StochasticInterpolant",
    "posterior_velocity",
]
