"""The command line. Each command is one file; what is slow to import is imported when a command runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, UnusedCliTokensError

from rmatch._errors import RmatchError
from rmatch.cli.compare import compare
from rmatch.cli.datasets import datasets
from rmatch.cli.evaluate import evaluate
from rmatch.cli.plot import plot
from rmatch.cli.sample import sample
from rmatch.cli.train import train
from rmatch.cli.verify import verify

__all__ = ["app", "main"]

_HELP = """Learn the density of points on a sphere, a torus or another manifold, from a table to samples and a picture.

Begin with real data that are built in:

    rmatch train airports -o runs/airports

then with your own table (latitude and longitude are recognised by their names):

    rmatch train quakes.csv --manifold sphere -o runs/quakes --budget 5m
    rmatch sample runs/quakes -n 10000 -o samples.csv
    rmatch evaluate runs/quakes --split test
    rmatch plot runs/quakes

Or compare three ways to train on it:

    rmatch compare quakes.csv --manifold sphere -o compared

Every command has its own --help with more examples.
"""


def _version() -> str:
    return str(vars(sys.modules["rmatch"])["__version__"])


app = App(
    name="rmatch",
    help=_HELP,
    version=_version,
    help_format="markdown",
    suppress_keyboard_interrupt=False,
)
for command in (train, sample, evaluate, plot, compare, datasets, verify):
    app.command(command)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    What a user can put right ends in one line on standard error and status 2; anything else that goes wrong keeps its
    traceback, for it is a mistake in rmatch.

    Args:
        argv: The arguments after the program's name; those of the process by default.

    Returns:
        The exit status: 0, 2 for an error, 130 after Ctrl-C.

    Example:
        >>> from rmatch.cli import main
        >>> main(["sample", "runs/nowhere"])  # says on standard error that there is no such folder
        2
    """
    tokens = sys.argv[1:] if argv is None else list(argv)
    if "torch" not in sys.modules:
        # Threads of GNU OpenMP that wait for each other spin for milliseconds before they sleep, and starve each other
        # when anything else runs on the same cores: training was several times slower beside a busy process. A
        # short spin is as fast alone.
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        result = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except UnusedCliTokensError as error:
        extra = " ".join(map(repr, error.unused_tokens or ()))
        return _fail(f"unexpected argument {extra}. See: rmatch {_command(tokens)}--help")
    except CycloptsError as error:
        return _fail(f"{error} See: rmatch {_command(tokens)}--help")
    except RmatchError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        print("rmatch: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return result if isinstance(result, int) else 0


def _fail(message: str) -> int:
    print(f"rmatch: error: {' '.join(message.split())}", file=sys.stderr)
    return 2


def _command(tokens: Sequence[str]) -> str:
    """The command's name with a space, if the first token is one."""
    names = {"train", "sample", "evaluate", "plot", "compare", "datasets", "verify"}
    return f"{tokens[0]} " if tokens and tokens[0] in names else ""
