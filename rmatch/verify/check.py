"""Examining a manifold, a distribution or a pair of paths by the laws that hold for all of them."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Collection, Iterable

from rmatch._errors import OptionError
from rmatch.distributions import Distribution
from rmatch.manifolds import Manifold
from rmatch.paths import ProbabilityPath
from rmatch.paths.base import require_path
from rmatch.verify._run import run_law
from rmatch.verify.base import Law
from rmatch.verify.laws import LAWS
from rmatch.verify.report import Report, Row
from rmatch.verify.subject import Pair, Subject

__all__ = ["check_distribution", "check_manifold", "check_paths", "select_laws"]

_ROWS, _THOROUGH_ROWS = 16, 64


def check_manifold(
    M: Manifold,
    laws: Iterable[str | Law] | None = None,
    seed: int = 0,
    thorough: bool = False,
    expected_failures: Collection[str] = (),
    *,
    reach: float | None = None,
    on_row: Callable[[Row], None] | None = None,
) -> Report:
    """Examine a manifold by the laws of Riemannian geometry.

    Nothing is printed and no law stops another: a method that raises breaks the laws that call it. Every law is tried
    on random points, vectors, functions and fields, simple ones first, in float64.

    Args:
        M: The manifold.
        laws: Names of laws or of families (`geodesics`, `calculus`, ...), or laws; all by default.
        seed: Seed of the inputs: the same seed gives the same report.
        thorough: Try more cases, and the laws that take long.
        expected_failures: Names of laws that are known to be broken; they do not make the report fail.
        reach: How far apart points may be, for a manifold whose logarithm is found by shooting and does not go
            everywhere; laws that need all of the manifold, such as integrals, are skipped then.
        on_row: Called with each row when it is there, to show progress.

    Returns:
        The report; `report.ok` says whether all is well, `print(report)` shows it.

    Raises:
        OptionError: A law or a family is unknown, or the reach is not a positive number.

    Example:
        >>> import rmatch as rm
        >>> report = rm.check_manifold(rm.Sphere(2), laws=["leibniz", "triangle-inequality"])
        >>> report.ok
        True
        >>> [row.law for row in report.rows]
        ['triangle-inequality', 'leibniz']
    """
    if reach is not None and not reach > 0:
        raise OptionError(f"the reach is a positive length, got reach={reach}")
    return check_subject(
        Subject(M, thorough=thorough, reach=reach),
        laws=laws,
        seed=seed,
        thorough=thorough,
        expected_failures=expected_failures,
        on_row=on_row,
    )


def check_distribution(
    p: Distribution,
    laws: Iterable[str | Law] | None = None,
    seed: int = 0,
    thorough: bool = False,
    expected_failures: Collection[str] = (),
    *,
    on_row: Callable[[Row], None] | None = None,
) -> Report:
    """Examine a distribution: whether its density integrates to one, and sampler and score belong to it.

    Args:
        p: The distribution.
        laws: As for `check_manifold`, by default the family `distributions`; likewise the other arguments.
        seed: Seed of the inputs.
        thorough: Try more cases.
        expected_failures: Names of laws that are known to be broken.
        on_row: Called with each row when it is there.

    Returns:
        The report.

    Raises:
        OptionError: A law or a family is unknown.

    Example:
        >>> import torch, rmatch as rm
        >>> p = rm.VonMisesFisher(rm.Sphere(2), torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64), 2.0)
        >>> rm.check_distribution(p).ok
        True
    """
    return check_subject(
        Subject(p.manifold, (p,), name=repr(p), thorough=thorough),
        laws=["distributions"] if laws is None else laws,
        seed=seed,
        thorough=thorough,
        expected_failures=expected_failures,
        on_row=on_row,
    )


def check_paths(
    p: ProbabilityPath,
    q: ProbabilityPath,
    laws: Iterable[str | Law] | None = None,
    seed: int = 0,
    thorough: bool = False,
    expected_failures: Collection[str] = (),
    *,
    accuracy: float = 0.0,
    on_row: Callable[[Row], None] | None = None,
) -> Report:
    """Examine two probability paths: the continuity equation, the rates of entropy and KL, and the KL identity.

    Args:
        p: One path.
        q: Another on the same manifold.
        laws: As for `check_manifold`, by default the family `paths`; likewise the arguments that follow.
        seed: Seed of the inputs.
        thorough: Try more cases.
        expected_failures: Names of laws that are known to be broken.
        accuracy: How far the log-densities may be off, in nats: the error of a path's solver, 0 for a closed form.
        on_row: Called with each row when it is there.

    Returns:
        The report.

    Raises:
        OptionError: The paths are on different manifolds, one is no path, or a law or a family is unknown.

    Example:
        >>> import torch, rmatch as rm
        >>> M = rm.Torus(1)
        >>> base = rm.VonMisesFisher(M, torch.tensor([1.0], dtype=torch.float64), 2.0)
        >>> p, q = (rm.FlowPath(lambda t, x, r=r: r * torch.ones_like(x), base, rm.RK4(4)) for r in (0.5, -0.5))
        >>> rm.check_paths(p, q).ok
        True
    """
    for path in (p, q):
        require_path(path)
    if p.manifold != q.manifold:
        raise OptionError(f"the paths are on {p.manifold!r} and {q.manifold!r}; take two on one manifold")
    pair = Pair(p, q, accuracy)
    return check_subject(
        Subject(p.manifold, (p.at(0.0), q.at(0.0)), pair, repr(pair), thorough),
        laws=["paths"] if laws is None else laws,
        seed=seed,
        thorough=thorough,
        expected_failures=expected_failures,
        on_row=on_row,
    )


def check_subject(
    subject: Subject,
    *,
    laws: Iterable[str | Law] | None,
    seed: int,
    thorough: bool,
    expected_failures: Collection[str],
    on_row: Callable[[Row], None] | None,
) -> Report:
    """Try the selected laws one after the other."""
    start = time.perf_counter()
    chosen = select_laws(laws, thorough=thorough)
    select_laws(expected_failures)  # their names are checked too
    rows: list[Row] = []
    for law in chosen:
        row = run_law(
            law,
            subject,
            seed=seed,
            cases=4 * law.cases if thorough else law.cases,
            rows=_THOROUGH_ROWS if thorough else _ROWS,
            expected=law.name in expected_failures,
        )
        rows.append(row)
        if on_row is not None:
            on_row(row)
    return Report(subject.name, tuple(rows), seed, time.perf_counter() - start)


def select_laws(names: Iterable[str | Law] | None, *, thorough: bool = False) -> list[Law]:
    """The laws of the given names and families, in the order of the list; for None those that are quick enough.

    Raises:
        OptionError: A name is unknown; the text has the closest one.
    """
    if names is None:
        return [law for law in LAWS if thorough or not law.thorough]
    wanted = [names] if isinstance(names, str) else list(names)
    known = {law.name for law in LAWS} | {law.family for law in LAWS}
    for name in wanted:
        if isinstance(name, str) and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(law.name for law in LAWS)}"
            raise OptionError(f"no law is called {name!r}; {hint}")
    own = [law for law in wanted if isinstance(law, Law) and law not in LAWS]
    quick = [law for law in LAWS if thorough or not law.thorough]
    return [law for law in LAWS if law in wanted or law.name in wanted or (law.family in wanted and law in quick)] + own
