"""What a law is: a formula, the inputs that it is tried on, and by how much it may be missed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from torch import Tensor

if TYPE_CHECKING:
    from rmatch.verify.draw import Draw

__all__ = ["Law", "Need", "Residual", "law"]

Inputs: TypeAlias = Mapping[str, Any]
"""The inputs of a law by their names: x, y, z are points, u, v, w tangent vectors at x; one row for each instance."""


class Residual(NamedTuple):
    """By how much a law is missed and by how much it may be, both one number for each row, or one for all.

    The note says more where a number does not say enough, such as which method is to blame.
    """

    value: Tensor
    tolerance: Tensor
    note: str | None = None


@dataclass(frozen=True)
class Need:
    """Something that not every manifold supplies.

    Args:
        name: What it is, such as `finite volume`.
        missing: The reason why the subject lacks it, or None.
    """

    name: str
    missing: Callable[[Any], str | None]


@dataclass(frozen=True)
class Law:
    """A statement that holds on every Riemannian manifold, and how to try it.

    Args:
        name: What it is called, in kebab case.
        formula: The statement as it stands in a paper.
        catches: Which mistakes break it.
        inputs: Draws inputs of growing complexity, see `Draw.level`.
        residual: `residual(subject, **inputs)`: by how much the law is missed, and by how much it may be.
        needs: What the subject must supply; without it the law is skipped.
        thorough: Whether it is left out unless asked for by name or by `thorough=True`.
        cases: How many inputs are tried.
        family: The file that holds it, such as `geodesics`.
    """

    name: str
    formula: str
    catches: str
    inputs: Callable[[Draw], Inputs]
    residual: Callable[..., Residual]
    needs: tuple[Need, ...] = ()
    thorough: bool = False
    cases: int = 3
    family: str = ""


def law(
    name: str,
    formula: str,
    *,
    catches: str,
    inputs: Callable[[Draw], Inputs],
    needs: tuple[Need, ...] = (),
    thorough: bool = False,
    cases: int = 3,
) -> Callable[[Callable[..., Residual]], Law]:
    """Make a `Law` of the function that measures its residual; arguments as for `Law`."""

    def wrap(residual: Callable[..., Residual]) -> Law:
        family = residual.__module__.rsplit(".", 1)[-1]
        return Law(name, formula, catches, inputs, residual, needs, thorough, cases, family)

    return wrap
