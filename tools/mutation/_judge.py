"""Whether a mutant is killed: the tests that run its line, quickest first, and after them those that run its file."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

import pytest

from tools.mutation._children import Task
from tools.mutation._mutants import Mutant
from tools.mutation._record import OPTIONS, Record

_SLACK = 5.0, 10.0  # with an error a test may take so many times as long as without, and so many seconds more


class Verdict(NamedTuple):
    """What the tests made of a mutant."""

    killed: bool
    by: str  # the test that failed, or what else went wrong; empty for a survivor
    tests: int  # how many were run at the most
    seconds: float  # of processor time


def judging(name: str, mutant: Mutant, record: Record, budget: float) -> Task:
    """The task of running a mutant against tests that take `budget` seconds without it."""
    rounds = _rounds(mutant, record, budget)
    limits = {test: _SLACK[0] * record.seconds[test] + _SLACK[1] for tests in rounds for test in tests}
    nominal = sum(record.seconds[test] for test in limits)
    return Task(name, lambda: _judge(mutant, rounds, limits), _SLACK[0] * (nominal + _SLACK[1]))


def _rounds(mutant: Mutant, record: Record, budget: float) -> list[list[str]]:
    """Two lists of tests: those of the file that is about the source, then all others.

    One case of each test comes before a second of any: they say the same about other inputs.
    """
    on_line = _varied(record.of_line(mutant.place.path, mutant.line), record)
    order = list(dict.fromkeys([*on_line, *_varied(record.of_file(mutant.place.path), record)]))
    chosen: list[str] = []
    for test in order:
        if budget <= 0:
            break
        budget -= record.seconds[test]
        chosen.append(test)
    homes = _homes(mutant.place.path, chosen)
    rounds = [[t for t in chosen if _file(t) in homes], [t for t in chosen if _file(t) not in homes]]
    return [tests for tests in rounds if tests]


def _varied(tests: Sequence[str], record: Record) -> list[str]:
    """The quickest case of each test, then the second quickest of each, and so on."""
    cases: dict[str, int] = {}
    ranks: dict[str, tuple[int, float]] = {}
    for test in sorted(tests, key=record.seconds.__getitem__):
        function = test.partition("[")[0]
        ranks[test] = cases.get(function, 0), record.seconds[test]
        cases[function] = cases.get(function, 0) + 1
    return sorted(ranks, key=ranks.__getitem__)


def _homes(path: str, tests: Sequence[str]) -> set[str]:
    """The test files about a source file: by their name, else the one with the most tests to run."""
    stem = Path(path).stem.lstrip("_")
    files = [_file(test) for test in tests]
    named = {file for file in files if Path(file).stem == f"test_{stem}"}
    others = sorted({file for file in files if file.startswith("tests/")}, key=lambda file: (-files.count(file), file))
    return {path} | (named or set(others[:1]))


def _file(test: str) -> str:
    return test.partition("::")[0]


def _judge(mutant: Mutant, rounds: list[list[str]], limits: dict[str, float]) -> Verdict:
    begin = time.process_time()
    by = _killer(mutant, rounds, limits)
    return Verdict(bool(by), by, sum(map(len, rounds)), time.process_time() - begin)


def _killer(mutant: Mutant, rounds: list[list[str]], limits: dict[str, float]) -> str:
    """The test that fails, or what else shows the error; empty where nothing does."""
    try:
        _import_mutant(mutant)
    except Exception as problem:  # whatever a module with an error in it raises
        return f"{type(problem).__name__} on import"
    for tests in rounds:
        chosen = _Chosen(tests, limits)
        code = pytest.main([*OPTIONS, "-x", *dict.fromkeys(map(_file, tests))], plugins=[chosen])
        if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            return chosen.failed or "the tests cannot be collected"
    return ""


class _Chosen:
    """Run these tests in this order, and keep the name of the first that fails."""

    def __init__(self, tests: Sequence[str], limits: dict[str, float]) -> None:
        self.rank = {test: number for number, test in enumerate(tests)}
        self.limits = limits
        self.failed = ""

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self) -> None:
        """The first counterexample is enough: hypothesis need not look for the smallest."""
        from hypothesis import Phase, settings

        settings.register_profile("mutation", settings(settings.default, phases=[Phase.explicit, Phase.generate]))
        settings.load_profile("mutation")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self.rank), key=lambda item: self.rank[item.nodeid])

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """A test that needs far more processor time than it should ends the process: the loop has no end."""
        signal.setitimer(signal.ITIMER_PROF, self.limits[item.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid


def _import_mutant(mutant: Mutant) -> None:
    """Import the mutant in the place of its module; nothing on the disk changes."""
    name = mutant.place.path.removesuffix(".py").replace("/", ".")
    code = compile(mutant.code, str(Path(mutant.place.path).resolve()), "exec")
    sys.meta_path.insert(0, _Finder(name, mutant.place.path, code))
    importlib.import_module(name)


class _Finder(importlib.abc.MetaPathFinder):
    """Find one module, with other code than its file has."""

    def __init__(self, name: str, path: str, code: CodeType) -> None:
        self.name, self.path, self.code = name, str(Path(path).resolve()), code

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        if fullname != self.name:
            return None
        loader = _Loader(self.name, self.path)
        loader.code = self.code
        return importlib.util.spec_from_file_location(fullname, self.path, loader=loader)


class _Loader(importlib.machinery.SourceFileLoader):
    code: Any = None

    def get_code(self, fullname: str) -> Any:
        del fullname
        return self.code
