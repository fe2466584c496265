"""Measure the accuracy of dist, log, exp and their gradients, beside the peers that are installed.

`python -m tools.accuracy` prints the tables; `--write` puts them into docs/accuracy.md; `--check` measures this library
alone and fails where the page says something else. Either takes about two minutes on one core.
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings

import torch

from tools.accuracy import page


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tools.accuracy", description=__doc__)
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--write", action="store_true", help="put the tables into docs/accuracy.md")
    action.add_argument("--check", action="store_true", help="fail where docs/accuracy.md is out of date")
    parser.add_argument("--factor", type=float, default=3.0, help="by which --check lets errors differ (default 3)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # peers warn of what the tables show
    logging.disable()
    if options.check:
        return check(options.factor)
    tables = "\n\n".join(page.sections())
    if options.write:
        page.PAGE.write_text(page.with_tables(page.PAGE.read_text("utf-8"), tables), "utf-8")
    else:
        print(tables)
    return 0


def check(factor: float) -> int:
    """Print what is wrong with the page; the exit status."""
    text = page.PAGE.read_text("utf-8")
    wrong = page.differences(page.errors_on(text), page.our_errors(), factor) + page.our_failures()
    print("\n".join(wrong) or f"{page.PAGE.name} is up to date")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
