"""What the README and the pages show runs: each Python block, and each command as far as its arguments go.

A block of text after a Python block is what that block prints, up to its numbers, which may differ in their last digit.
"""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

from rmatch.verify import LAWS
from tools import law_tables

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"^```python\n(?P<code>[^`]*?)^```\n\n```text\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]\d+)?")


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """The fenced blocks in `language`, each with the line that it starts at."""
    text = page.read_text("utf-8")
    return [
        (text.count("\n", 0, match.start("code")), match["code"])
        for match in BLOCK.finditer(text)
        if match["language"] == language
    ]


COMMANDS = [
    pytest.param(command, id=f"{page.name}:{command}")
    for page in PAGES
    for _, code in blocks(page, "sh")
    for line in code.splitlines()
    for command in line.split(" && ")
    if command.startswith("rmatch ")
]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name)
def test_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page run in order and share their names; training is cut to a few steps."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "page"}
    shown = {match["code"]: match["text"] for match in PRINTED.finditer(page.read_text("utf-8"))}
    for line, code in blocks(page, "python"):
        short = re.sub(r"\bsteps=\d+", "steps=3", code)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile("\n" * line + short, str(page), "exec"), names)
        if code in shown:
            assert NUMBER.sub("0", printed.getvalue()) == NUMBER.sub("0", shown[code])


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_parse(command: str) -> None:
    from rmatch.cli import app

    app.parse_args(shlex.split(command)[1:], exit_on_error=False, print_error=False)


def test_the_page_on_verifying_has_every_law_as_it_is_in_the_code() -> None:
    """Where it fails: `python -m tools.law_tables` brings the page up to date."""
    assert {law.family for law in LAWS} == set(re.findall(r"<!-- laws: (\w+) -->", law_tables.PAGE.read_text("utf-8")))
    assert law_tables.with_tables(law_tables.PAGE.read_text("utf-8")) == law_tables.PAGE.read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text("utf-8"))
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing


def test_readme_gives_the_two_commands_on_one_line_each() -> None:
    lines = [line for _, code in blocks(ROOT / "README.md", "sh") for line in code.splitlines()]
    pip = [line for line in lines if line.startswith("python -m pip install")]
    assert [line.split(" && ")[1] for line in pip] == ["rmatch train airports -o runs/airports", "python -m pytest"]
    assert all("-c constraints.txt" in line for line in pip)
