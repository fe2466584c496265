"""Objectives: each is called as `objective(field, x1, generator)` and returns a scalar loss."""

from rmatch.objectives.flow_matching import FlowMatching

__all__ = ["FlowMatching"]
