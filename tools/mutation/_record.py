"""Which tests run which line of the source, and how long each test takes.

The record of one test file is kept until that file changes. Where a source file changed since, the tests that run it
are still known, but no longer which line each of them runs; delete the records to have them made anew.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.mutation._children import Task, run_all

TESTS = [
    "tests/manifolds/test_*.py",
    "tests/distributions/test_*.py",
    "tests/solvers/test_open_domains.py",
    "tests/test_conformance.py",
]
ROOMS = ["rmatch/manifolds", "rmatch/distributions"]
_LIMIT = 900.0  # processor seconds for one test file under a tracer
# Of hypothesis it warns that it was imported before pytest could rewrite it, which is what a warm start means.
OPTIONS = ["-q", "--tb=no", "--no-header", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]


class Record:
    """The tests of every line, and the seconds that they take.

    Args:
        root: The tree.
        parts: For each test file, what `_traced` returns.
    """

    def __init__(self, root: Path, parts: dict[str, Any]) -> None:
        self.seconds: dict[str, float] = {}
        self._by_line: dict[tuple[str, int], list[str]] = {}
        self._by_file: dict[str, dict[str, None]] = {}
        for part in parts.values():
            self.seconds |= part["seconds"]
            names = list(part["seconds"])
            for source, lines in part["lines"].items():
                unchanged = digest(root / source) == part["digests"][source]
                for line, numbers in lines.items():
                    tests = [names[number] for number in numbers]
                    self._by_file.setdefault(source, {}).update(dict.fromkeys(tests))
                    if unchanged:
                        self._by_line.setdefault((source, int(line)), []).extend(tests)

    def of_line(self, source: str, line: int) -> list[str]:
        """The tests that run the line, as far as that is known."""
        return self._by_line.get((source, line), [])

    def of_file(self, source: str) -> list[str]:
        """The tests that run any line of the file."""
        return list(self._by_file.get(source, ()))


def record(root: Path, kept: Path, jobs: int) -> Record:
    """The record of the tree at `root`, which is the working directory; what is missing in `kept` is traced."""
    kept.mkdir(parents=True, exist_ok=True)
    parts: dict[str, Any] = {}
    missing: list[str] = []
    for test_file in test_files(root):
        part = _fresh(root, kept / _file_name(test_file), test_file)
        if part is None:
            missing.append(test_file)
        else:
            parts[test_file] = part
    tasks = [Task(test_file, lambda test_file=test_file: _traced(root, test_file), _LIMIT) for test_file in missing]
    for number, (test_file, part, problem) in enumerate(run_all(tasks, jobs), 1):
        if problem:
            print(f"{number}/{len(tasks)} {test_file} is left out: {problem}", flush=True)
            continue
        print(f"{number}/{len(tasks)} {test_file}: {len(part['seconds'])} tests", flush=True)
        (kept / _file_name(test_file)).write_text(json.dumps(part))
        parts[test_file] = part
    return Record(root, parts)


def test_files(root: Path) -> list[str]:
    """The test files, and the source files for the examples in their docstrings."""
    tests = [path for pattern in TESTS for path in sorted(root.glob(pattern))]
    sources = [path for folder in ROOMS for path in sorted((root / folder).glob("*.py"))]
    return [path.relative_to(root).as_posix() for path in [*tests, *sources] if path.name != "__init__.py"]


def digest(path: Path) -> str:
    """A name for the contents of a file; empty where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.exists() else ""


def _file_name(test_file: str) -> str:
    return test_file.replace("/", "-") + ".json"


def _fresh(root: Path, kept: Path, test_file: str) -> Any:
    if not kept.exists():
        return None
    part = json.loads(kept.read_text())
    return part if digest(root / test_file) == part["digests"][test_file] else None


class _Tracing:
    """Name the running test to the tracer, and keep the tests that pass with their processor time."""

    def __init__(self, coverage: Any) -> None:
        self.coverage = coverage
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.coverage.switch_context(item.nodeid)
        begin = time.process_time()
        result = yield
        self.seconds[item.nodeid] = round(time.process_time() - begin, 4)
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self.failed.add(report.nodeid)


def _traced(root: Path, test_file: str) -> dict[str, Any]:
    """`seconds` by test, `lines` by source file and line as numbers of tests, and `digests` by file."""
    import coverage

    files = [path for folder in ROOMS for path in sorted((root / folder).glob("*.py"))]
    tracer = coverage.Coverage(data_file=None, config_file=False, include=[str(path) for path in files])
    tracing = _Tracing(tracer)
    tracer.start()
    pytest.main([*OPTIONS, test_file], plugins=[tracing])
    tracer.stop()
    seconds = {test: spent for test, spent in tracing.seconds.items() if test not in tracing.failed}
    numbers = {test: number for number, test in enumerate(seconds)}
    lines: dict[str, dict[str, list[int]]] = {}
    for path in files:
        by_line = tracer.get_data().contexts_by_lineno(str(path))
        tests = {str(line): sorted(numbers[t] for t in found if t in numbers) for line, found in by_line.items()}
        lines[path.relative_to(root).as_posix()] = {line: found for line, found in tests.items() if found}
    lines = {source: found for source, found in lines.items() if found}
    return {
        "digests": {file: digest(root / file) for file in {test_file, *lines}},
        "seconds": seconds,
        "lines": lines,
    }
