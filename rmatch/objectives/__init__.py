"""Objectives: each is called as `objective(field, x1, generator)` and returns a scalar loss; and the exact pairings."""

from rmatch.objectives.flow_matching import FlowMatching
from rmatch.objectives.information import entropy, kl
from rmatch.objectives.pairing import Matching, Pairing, PairingErrors, pairing

__all__ = ["FlowMatching", "Matching", "Pairing", "PairingErrors", "entropy", "kl", "pairing"]
