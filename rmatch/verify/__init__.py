"""The laws of Riemannian geometry as data, and the examination of a manifold by them."""

from rmatch.verify.base import Law, Need, Residual
from rmatch.verify.check import check_distribution, check_manifold, check_paths
from rmatch.verify.laws import LAWS
from rmatch.verify.report import Report, Row

__all__ = ["LAWS", "Law", "Need", "Report", "Residual", "Row", "check_distribution", "check_manifold", "check_paths"]
