"""Distributions: laws on a manifold with densities in nats with respect to dV_g."""

from rmatch.distributions.base import Distribution
from rmatch.distributions.default_base import default_base
from rmatch.distributions.heat_kernel import HeatKernel
from rmatch.distributions.kernel_density import KernelDensity
from rmatch.distributions.mixture import Mixture
from rmatch.distributions.uniform import Uniform
from rmatch.distributions.von_mises_fisher import VonMisesFisher
from rmatch.distributions.wrapped_normal import WrappedNormal

__all__ = [
    "Distribution",
    "HeatKernel",
    "KernelDensity",
    "Mixture",
    "Uniform",
    "VonMisesFisher",
    "WrappedNormal",
    "default_base",
]
