"""Distributions: laws on a manifold with densities in nats with respect to dV_g."""

from rmatch.distributions.base import Distribution
from rmatch.distributions.uniform import Uniform

__all__ = ["Distribution", "Uniform"]
