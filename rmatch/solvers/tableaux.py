"""Butcher tableaux: Runge–Kutta methods as data.

A method with s stages advances `y' = f(t, y)` by `y + h Σ b_i k_i`, `k_i = f(t + c_i h, y + h Σ_{j<i} a_ij k_j)`.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DORMAND_PRINCE", "EULER", "MIDPOINT", "RUNGE_KUTTA_4", "Tableau"]


@dataclass(frozen=True)
class Tableau:
    """The coefficients of an explicit Runge–Kutta method.

    Args:
        order: Order of convergence.
        nodes: The times `c_i` of the stages, as fractions of a step.
        stages: The rows `a_i1, ..., a_i,i-1`, one for each stage; the first is empty.
        weights: The weights `b_i`.
        error_weights: `b_i - b̂_i` with the weights of an embedded method of lower order, or None without one.
    """

    order: int
    nodes: tuple[float, ...]
    stages: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    error_weights: tuple[float, ...] | None = None

    @property
    def first_same_as_last(self) -> bool:
        """Whether the last stage is the slope at the new point, and so the first stage of the next step."""
        return self.nodes[-1] == 1.0 and (*self.stages[-1], 0.0) == self.weights


EULER = Tableau(order=1, nodes=(0.0,), stages=((),), weights=(1.0,))
"""Euler's method."""

MIDPOINT = Tableau(order=2, nodes=(0.0, 0.5), stages=((), (0.5,)), weights=(0.0, 1.0))
"""The explicit midpoint rule (Runge, 1895)."""

RUNGE_KUTTA_4 = Tableau(
    order=4,
    nodes=(0.0, 0.5, 0.5, 1.0),
    stages=((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)),
    weights=(1 / 6, 1 / 3, 1 / 3, 1 / 6),
)
"""The classical method of four stages (Kutta, 1901)."""

DORMAND_PRINCE = Tableau(
    order=5,
    nodes=(0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0),
    stages=(
        (),
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
    ),
    weights=(35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0.0),
    error_weights=(71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40),
)
"""The pair 5(4) with seven stages of Dormand and Prince, J. Comput. Appl. Math. 6 (1980), table 2."""
