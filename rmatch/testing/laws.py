"""The laws as tests: one for each law and manifold."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rmatch._errors import DependencyError
from rmatch.manifolds import Manifold
from rmatch.verify import Law, check_manifold
from rmatch.verify.check import select_laws

if TYPE_CHECKING:
    import pytest


def manifold_laws(
    *manifolds: Manifold,
    laws: Iterable[str | Law] | None = None,
    seed: int = 0,
    thorough: bool = False,
    expected_failures: Collection[str] = (),
) -> pytest.MarkDecorator:
    """A pytest decorator that makes one test of each law for each manifold.

    The test function has one argument, `check`, and calls it. A law that does not apply is a skipped test, one of
    `expected_failures` is marked as such, and strictly: once it holds, the test fails.

    Args:
        manifolds: One manifold or more.
        laws: Names of laws or of families, or laws; all by default.
        seed: Seed of the inputs.
        thorough: Try more cases, and the laws that take long.
        expected_failures: Names of laws that are known to be broken.

    Raises:
        OptionError: A law or a family is unknown.
        DependencyError: pytest is not installed.

    Example:
        >>> import rmatch as rm
        >>> @rm.testing.manifold_laws(rm.Torus(2), laws=["leibniz", "triangle-inequality"])
        ... def test_my_manifold_obeys_the_law(check):
        ...     check()
        >>> [parameter.id for parameter in test_my_manifold_obeys_the_law.pytestmark[0].args[1]]
        ['triangle-inequality-Torus(2)', 'leibniz-Torus(2)']
    """
    try:
        import pytest
    except ImportError as error:
        raise DependencyError("rmatch.testing makes tests for pytest; install it with: pip install pytest") from error
    chosen = select_laws(laws, thorough=thorough)
    select_laws(expected_failures)
    xfail = pytest.mark.xfail(reason="one of expected_failures", strict=True)
    parameters = [
        pytest.param(
            LawCheck(M, law, seed, thorough, pytest.skip),
            id=f"{law.name}-{M!r}",
            marks=[xfail] if law.name in expected_failures else [],
        )
        for M in manifolds
        for law in chosen
    ]
    return pytest.mark.parametrize("check", parameters)


@dataclass(frozen=True)
class LawCheck:
    """One law for one manifold, to be called in a test.

    Args:
        manifold: The manifold.
        law: The law.
        seed: Seed of the inputs.
        thorough: Whether to try more cases.
        skip: What to call with a reason where the law does not apply.
    """

    manifold: Manifold
    law: Law
    seed: int
    thorough: bool
    skip: Callable[[str], object]

    def __call__(self) -> None:
        """Try the law.

        Raises:
            LawError: It is broken; the text has the formula and the simplest counterexample.
        """
        report = check_manifold(self.manifold, [self.law], self.seed, self.thorough)
        (row,) = report.rows
        if row.status == "skipped":
            self.skip(f"{row.law}: {row.reason}")
        report.raise_if_failed()
