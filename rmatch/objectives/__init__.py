"""Objectives: each is called as `objective(field, x1, generator)` and returns a scalar loss; and the exact pairings."""

from rmatch.objectives.flow_matching import FlowMatching
from rmatch.objectives.information import entropy, kl
from rmatch.objectives.maximum_likelihood import Density, MaximumLikelihood
from rmatch.objectives.pairing import Matching, Pairing, PairingErrors, pairing
from rmatch.objectives.reverse_kl import ReverseKL, effective_sample_size
from rmatch.objectives.score_matching import ScoreMatching

__all__ = [
    "Density",
    "FlowMatching",
    "Matching",
    "MaximumLikelihood",
    "Pairing",
    "PairingErrors",
    "ReverseKL",
    "ScoreMatching",
    "effective_sample_size",
    "entropy",
    "kl",
    "pairing",
]
