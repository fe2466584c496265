"""Run a sample of the mutants and write what became of them to the page."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tools.mutation._children import run_all, warm_up
from tools.mutation._judge import Verdict, judging
from tools.mutation._mutants import Mutant, Place, mutant_at, places_of
from tools.mutation._record import ROOMS, digest, record
from tools.mutation._report import explained, share, write_page

_COPIED = ["rmatch", "tests", "pyproject.toml"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw, run and report."""
    options = _options(arguments)
    kept = Path("build/mutation").resolve()
    page = options.page and options.page.resolve()
    with _scratch_copy() as root:
        warm_up()
        tests = record(root, kept / "record", options.jobs)
        places = [place for path in _sources(root, options.only, options.skip) for place in places_of(path)]
        mutants = _draw(places, options.sample, options.seed)
        known = _Verdicts(kept / "verdicts.jsonl", again=options.again)
        open_ones = {str(i): mutant for i, mutant in enumerate(mutants) if known.of(mutant) is None}
        print(f"{len(mutants)} mutants, {len(open_ones)} of them to be run", flush=True)
        tasks = [judging(name, mutant, tests, options.budget) for name, mutant in open_ones.items()]
        for count, (name, verdict, problem) in enumerate(run_all(tasks, options.jobs), 1):
            told = known.add(open_ones[name], verdict or Verdict(True, problem, 0, 0.0))
            print(f"{count}/{len(tasks)} {_line(told)}", flush=True)
        verdicts = [known.of(mutant) for mutant in mutants]
    survivors = [verdict for verdict in verdicts if not verdict["killed"]]
    print(f"\n{len(verdicts)} mutants, {len(survivors)} survivors, killed: {share(verdicts)}\n")
    for verdict in survivors:
        print(f"{_line(verdict)} [{explained(verdict)['kind']}]")
    if page:
        write_page(page, verdicts, _command(options), len(places))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.mutation", description=__doc__)
    parser.add_argument("--sample", type=int, default=0, help="how many mutants to draw; 0, the default, takes all")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--only", nargs="+", default=["*"], metavar="GLOB", help="source files to take")
    parser.add_argument("--skip", nargs="+", default=[], metavar="GLOB", help="source files to leave out")
    parser.add_argument("--budget", type=float, default=20.0, help="seconds of tests for one mutant (default 20)")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at a time")
    parser.add_argument("--again", action="store_true", help="run the survivors of earlier runs again")
    parser.add_argument("--page", type=Path, help="the page to write the figures to")
    return parser.parse_args(arguments)


def _command(options: argparse.Namespace) -> str:
    words = ["python -m tools.mutation", f"--sample {options.sample}", f"--seed {options.seed}"]
    words += [f"--budget {options.budget:g}"]
    words += ["--only", *options.only] if options.only != ["*"] else []
    words += ["--skip", *options.skip] if options.skip else []
    return " ".join(words)


@contextlib.contextmanager
def _scratch_copy() -> Iterator[Path]:
    """A copy of the tree to run in, so that neither an edit nor a test reaches the working tree."""
    tree = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="mutation-") as name:
        root = Path(name).resolve()
        for part in _COPIED:
            copy = shutil.copytree if (tree / part).is_dir() else shutil.copy
            copy(tree / part, root / part)
        os.chdir(root)
        sys.path[:] = [str(root), *(entry for entry in sys.path if Path(entry or ".").resolve() != tree)]
        sys.dont_write_bytecode = True
        yield root
        os.chdir(tree)


def _sources(root: Path, only: Sequence[str], skip: Sequence[str]) -> list[str]:
    paths = [path.relative_to(root).as_posix() for room in ROOMS for path in sorted((root / room).glob("*.py"))]
    return [p for p in paths if any(fnmatch(p, glob) for glob in only) and not any(fnmatch(p, glob) for glob in skip)]


def _draw(places: Sequence[Place], size: int, seed: int) -> list[Mutant]:
    """So many mutants by chance, each as likely as the other; places where nothing computed changes are passed over.

    The order is that of a hash, so that a change to one file leaves what is drawn from the others as it is.
    """
    order = sorted(places, key=lambda place: hashlib.sha256(repr((seed, *place)).encode()).digest())
    mutants = (mutant for place in order if (mutant := mutant_at(place)) is not None)
    return [mutant for mutant, _ in zip(mutants, range(size or len(places)), strict=False)]


class _Verdicts:
    """What became of each mutant, kept in a file of one line each, as long as its source file stays as it is."""

    def __init__(self, path: Path, again: bool) -> None:
        self.path = path
        self.known: dict[tuple[str, ...], dict[str, Any]] = {}
        if path.exists():
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            self.known = {tuple(row["key"]): row for row in rows}
        if again:
            self.known = {key: row for key, row in self.known.items() if row["killed"]}

    def of(self, mutant: Mutant) -> Any:
        """The verdict on a mutant, or None."""
        return self.known.get(_key(mutant))

    def add(self, mutant: Mutant, verdict: Verdict) -> dict[str, Any]:
        """Keep a verdict."""
        told = {name: getattr(mutant, name) for name in ("line", "scope", "before", "after")}
        row = {"key": _key(mutant), "path": mutant.place.path, **told, **verdict._asdict()}
        self.known[_key(mutant)] = row
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        return row


def _key(mutant: Mutant) -> tuple[str, ...]:
    place = mutant.place
    return place.path, digest(Path(place.path)), place.operator, str(place.number)


def _line(verdict: dict[str, Any]) -> str:
    fate = f"killed by {verdict['by']}" if verdict["killed"] else f"SURVIVES {verdict['tests']} tests"
    change = f"{verdict['path']}:{verdict['line']} {verdict['before']} => {verdict['after']}"
    return f"{change}: {fate} in {verdict['seconds']:.1f} s"


if __name__ == "__main__":
    main()
