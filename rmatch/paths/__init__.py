"""Probability paths, the conditional paths that they are mixtures of, schedules and couplings."""

from rmatch.paths.base import ConditionalPath, PairPath, PathSample, ProbabilityPath
from rmatch.paths.bridge import DiffusionBridge
from rmatch.paths.couplings import Coupling, Independent, OptimalTransport
from rmatch.paths.diffusion import Diffusion, NoisedSample, ProbabilityFlow, ScoreModel
from rmatch.paths.empirical import EmpiricalPath
from rmatch.paths.flow import FlowPath
from rmatch.paths.geodesic import GeodesicPath
from rmatch.paths.heat import HeatPath
from rmatch.paths.interpolant import StochasticInterpolant
from rmatch.paths.posterior import posterior_velocity
from rmatch.paths.premetric import GeodesicDistance, Premetric
from rmatch.paths.premetric_path import PremetricPath
from rmatch.paths.schedules import Cosine, Linear, Polynomial, Schedule
from rmatch.paths.spectral import BiharmonicDistance, DiffusionDistance, SpectralDistance

__all__ = [
    "BiharmonicDistance",
    "ConditionalPath",
    "Cosine",
    "Coupling",
    "Diffusion",
    "DiffusionBridge",
    "DiffusionDistance",
    "EmpiricalPath",
    "FlowPath",
    "GeodesicDistance",
    "GeodesicPath",
    "HeatPath",
    "Independent",
    "Linear",
    "NoisedSample",
    "OptimalTransport",
    "PairPath",
    "PathSample",
    "Polynomial",
    "Premetric",
    "PremetricPath",
    "ProbabilityFlow",
    "ProbabilityPath",
    "Schedule",
    "ScoreModel",
    "SpectralDistance",
    "StochasticInterpolant",
    "posterior_velocity",
]
