"""Solvers: fields integrated on a manifold, with the log-density in the same solve."""

from rmatch.solvers.adaptive import DormandPrince
from rmatch.solvers.base import Integration, Solution, Solver
from rmatch.solvers.fixed import RK4, Euler, FixedStep, Midpoint
from rmatch.solvers.random_walk import GeodesicRandomWalk
from rmatch.solvers.status import Status
from rmatch.solvers.tableaux import Tableau

__all__ = [
    "RK4",
    "DormandPrince",
    "Euler",
    "FixedStep",
    "GeodesicRandomWalk",
    "Integration",
    "Midpoint",
    "Solution",
    "Solver",
    "Status",
    "Tableau",
]
