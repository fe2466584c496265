"""The list of all laws, one family to a file."""

from rmatch.verify.base import Law
from rmatch.verify.laws import calculus, geodesics, integrals, metric, transport

LAWS: tuple[Law, ...] = (*metric.LAWS, *geodesics.LAWS, *transport.LAWS, *calculus.LAWS, *integrals.LAWS)
"""Every law, from the metric to the flows that it carries."""

__all__ = ["LAWS"]
