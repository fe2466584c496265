"""The list of all laws, one family to a file."""

from rmatch.verify.base import Law
from rmatch.verify.laws import calculus, contract, distributions, geodesics, integrals, metric, paths, transport

LAWS: tuple[Law, ...] = (
    *metric.LAWS,
    *geodesics.LAWS,
    *transport.LAWS,
    *calculus.LAWS,
    *integrals.LAWS,
    *contract.LAWS,
    *distributions.LAWS,
    *paths.LAWS,
)
"""Every law, from the metric to the flows that it carries."""

__all__ = ["LAWS"]
