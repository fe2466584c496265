"""Sphinx configuration: `sphinx-build --fail-on-warning docs docs/_build/html`."""

import re

from sphinx.application import Sphinx

import rmatch

project = "rmatch"
author = "the rmatch authors"
project_copyright = f"2026, {author}"
version = release = rmatch.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
nitpicky = False

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"rmatch {release}"

CODE = re.compile(r"(``.+?``|`[^`]+`)")


def from_plain_text(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Docstrings are plain text with `code`; in reStructuredText that is ``code``, and |v| is not a substitution."""
    del app, what, name, obj, options
    for index, line in enumerate(lines):
        if line.lstrip().startswith((">>>", "...")):
            continue
        parts = CODE.split(line)
        parts[::2] = [text.replace("|", r"\|") for text in parts[::2]]
        parts[1::2] = [code if code.startswith("``") else f"`{code}`" for code in parts[1::2]]
        lines[index] = "".join(parts)


def setup(app: Sphinx) -> None:
    """Run before napoleon, which works at the default priority of 500."""
    app.connect("autodoc-process-docstring", from_plain_text, priority=400)
