"""Hypothesis strategies for the inputs of laws: points, vectors, pairs in every position, functions and fields.

What hypothesis draws is a seed and a level of complexity, and it shrinks both: the simplest example has points near the
origin and functions of one term. All results are batches with `rows` rows, in float64 unless another type is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from rmatch._errors import DependencyError
from rmatch.manifolds import Manifold
from rmatch.verify.base import Inputs, Law
from rmatch.verify.draw import Draw, Field
from rmatch.verify.functions import Profile, RandomFunction
from rmatch.verify.subject import Subject

try:
    from hypothesis import strategies as st
except ImportError as error:
    raise DependencyError(
        "rmatch.testing.strategies needs hypothesis; install it with: pip install hypothesis"
    ) from error

__all__ = ["fields", "functions", "law_inputs", "pairs", "points", "tangents"]

T = TypeVar("T")

_LEVELS = 3


def points(M: Manifold, *, rows: int = 8, dtype: torch.dtype = torch.float64) -> st.SearchStrategy[Tensor]:
    """Points `(rows, *point_shape)`: all over a manifold of finite volume, else within a few lengths of the origin.

    Args:
        M: The manifold.
        rows: How many.
        dtype: Type of the coordinates.

    Example:
        >>> import rmatch as rm
        >>> from hypothesis import given
        >>> M = rm.Sphere(2)
        >>> @given(x=rm.testing.strategies.points(M))
        ... def test_projecting_a_point_changes_nothing(x):
        ...     assert M.check_point(x) is None
        >>> test_projecting_a_point_changes_nothing()
    """
    return _drawn(M, rows, dtype, lambda draw: draw.points())


def tangents(
    M: Manifold, *, rows: int = 8, dtype: torch.dtype = torch.float64, length: float = 1.0
) -> st.SearchStrategy[tuple[Tensor, Tensor]]:
    """Points and tangent vectors there of about the given length, both `(rows, *point_shape)`."""
    return _drawn(M, rows, dtype, lambda draw: (x := draw.points(), draw.tangents(x, length)))


def pairs(
    M: Manifold, *, rows: int = 8, dtype: torch.dtype = torch.float64, cut: bool = True
) -> st.SearchStrategy[tuple[Tensor, Tensor]]:
    """Pairs of points, both `(rows, *point_shape)`: apart, close, 1e-9 apart and the same in one batch.

    Args:
        M: The manifold.
        rows: How many.
        dtype: Type of the coordinates.
        cut: Whether to have pairs next to the cut locus, found by bisection, and at it, where it is known.
    """
    return _drawn(M, rows, dtype, lambda draw: draw.pairs(cut=cut))


def functions(M: Manifold, *, profile: Profile | None = None) -> st.SearchStrategy[RandomFunction]:
    """Smooth functions; where the volume is infinite they decay, so that integrals exist.

    Args:
        M: The manifold.
        profile: `wave`, `power` (polynomials in the features, which are spherical harmonics on a sphere) or `neuron`;
            any by default.
    """
    return _drawn(M, 1, torch.float64, lambda draw: draw.function(profile))


def fields(M: Manifold, *, kind: str | None = None) -> st.SearchStrategy[Field]:
    """Smooth vector fields.

    Args:
        M: The manifold.
        kind: `generic`, `gradient`, or `solenoidal` for one that is free of divergence; one of the first two by
            default.
    """
    return _drawn(M, 1, torch.float64, lambda draw: draw.field(kind))


def law_inputs(law: Law, M: Manifold, *, rows: int = 8) -> st.SearchStrategy[Inputs]:
    """The inputs of a law by name, as `law.residual(M, **inputs)` takes them.

    Args:
        law: One of `rmatch.verify.LAWS`, or your own.
        M: A manifold that supplies what the law needs.
        rows: How many instances at once.

    Example:
        >>> import rmatch as rm
        >>> from hypothesis import given
        >>> M = rm.Torus(2)
        >>> (leibniz,) = (law for law in rm.verify.LAWS if law.name == "leibniz")
        >>> @given(inputs=rm.testing.strategies.law_inputs(leibniz, M))
        ... def test_the_product_rule_holds(inputs):
        ...     value, tolerance, _ = leibniz.residual(M, **inputs)
        ...     assert (value <= tolerance).all()
        >>> test_the_product_rule_holds()
    """
    return _drawn(M, rows, torch.float64, law.inputs)


def _drawn(M: Manifold, rows: int, dtype: torch.dtype, make: Callable[[Draw], T]) -> st.SearchStrategy[T]:
    subject = Subject(M)

    def build(level: int, seed: int) -> T:
        return make(Draw(subject, seed=seed, name="strategy", level=level, rows=rows, dtype=dtype))

    return st.builds(build, st.integers(0, _LEVELS - 1), st.integers(0, 2**32 - 1))
