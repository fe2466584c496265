"""Imports point downward only: the order of the layers, the rooms that do not see each other, and no cycles.

Every import statement is read from the source, also those inside functions, which are lazy but still a dependency.
Imports under `if TYPE_CHECKING:` are left out: they exist for the type checker and not at run time.
"""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "rmatch"

# From the top down. Rooms on one line are on the same level.
LAYERS: list[tuple[str, ...]] = [
    ("__main__",),
    ("cli",),
    ("testing",),
    ("plotting", "training", "datasets", "interop", "verify"),
    ("objectives",),
    ("paths",),
    ("solvers",),
    ("fields",),
    ("distributions",),
    ("manifolds",),
    ("_numerics", "_typing", "_errors", "_files", "_names"),
    ("_arrays",),
]
LEVEL = {room: len(LAYERS) - index for index, rooms in enumerate(LAYERS) for room in rooms}
SAME_LEVEL_ALLOWED = {("training", "datasets")}


def module_name(path: Path, package: Path = PACKAGE) -> str:
    parts = (package.name, *path.relative_to(package).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module: str) -> str:
    """The first part below the package: `rmatch.manifolds.sphere` lies in `manifolds`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def run_time_imports(tree: ast.AST) -> list[ast.Import | ast.ImportFrom]:
    found: list[ast.Import | ast.ImportFrom] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                found += run_time_imports(other)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.append(node)
        else:
            found += run_time_imports(node)
    return found


def imported(source: str, module: str, known: set[str], is_package: bool) -> set[str]:
    """The modules of the package that `source` imports, each as the deepest known module."""
    top = module.split(".")[0]
    names: set[str] = set()
    for node in run_time_imports(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
            continue
        base = node.module or ""
        if node.level:
            parts = module.split(".")
            anchor = parts[: len(parts) - node.level + is_package]
            base = ".".join([*anchor, base] if base else anchor)
        for alias in node.names:
            deeper = f"{base}.{alias.name}"
            names.add(deeper if deeper in known else base)
    return {name for name in names if name.split(".")[0] == top}


def read_package(package: Path = PACKAGE) -> dict[str, set[str]]:
    """Every module of the package with the modules of the package that it imports."""
    paths = {module_name(path, package): path for path in sorted(package.rglob("*.py"))}
    return {
        name: imported(path.read_text("utf-8"), name, set(paths), path.name == "__init__.py")
        for name, path in paths.items()
    }


def layer_violations(graph: dict[str, set[str]]) -> list[str]:
    problems: list[str] = []
    for module, targets in graph.items():
        source = room(module)
        if source == "":  # rmatch/__init__.py re-exports from everywhere
            continue
        if source not in LEVEL:
            problems.append(f"{module}: the room {source!r} is in no layer")
            continue
        for target in sorted(targets):
            goal = room(target)
            if goal == source:
                continue
            if goal == "":
                problems.append(f"{module} imports {target} itself; import the room that holds the name")
            elif goal not in LEVEL:
                problems.append(f"{module} imports {target}: the room {goal!r} is in no layer")
            elif LEVEL[goal] > LEVEL[source]:
                problems.append(f"{module} imports {target}, which lies above it")
            elif LEVEL[goal] == LEVEL[source] > LEVEL["_errors"] and (source, goal) not in SAME_LEVEL_ALLOWED:
                problems.append(f"{module} imports {target}, which lies beside it")
    return problems


def test_imports_point_downward() -> None:
    problems = layer_violations(read_package())
    assert not problems, "\n".join(problems)


def test_no_import_cycles_between_files() -> None:
    graph = read_package()
    # A folder's __init__ is its list of contents: a member that is reached through it does not depend on it.
    edges = {
        module: {target for target in targets if not module.startswith(f"{target}.")}
        for module, targets in graph.items()
    }
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        pytest.fail("import cycle: " + " -> ".join(error.args[1]))


@pytest.mark.parametrize(
    ("module", "statement", "fault"),
    [
        ("manifolds/sphere.py", "from rmatch.distributions import Uniform", "above it"),
        ("manifolds/sphere.py", "def f():\n    from rmatch.cli import main", "above it"),
        ("manifolds/sphere.py", "from ..solvers.euler import Euler", "above it"),
        ("plotting/globe.py", "import rmatch.training.fit", "beside it"),
        ("datasets/table.py", "from rmatch import training", "beside it"),
        ("fields/mlp.py", "import rmatch as rm", "rmatch itself"),
        ("extras/mlp.py", "import torch", "in no layer"),
        ("_files.py", "from rmatch.manifolds import Sphere", "above it"),
    ],
)
def test_the_check_finds_a_wrong_import(tmp_path: Path, module: str, statement: str, fault: str) -> None:
    package = tmp_path / "rmatch"
    for name in ["__init__.py", "cli.py", "training/__init__.py", "training/fit.py", "solvers/euler.py", module]:
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (package / module).write_text(statement)
    (problem,) = layer_violations(read_package(package))
    assert fault in problem


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("training/fit.py", "from rmatch.datasets import load"),
        ("manifolds/sphere.py", "from rmatch.manifolds.base import Manifold"),
        ("_files.py", "from rmatch._errors import OutputError"),
        ("manifolds/base.py", "if TYPE_CHECKING:\n    from rmatch.fields import VectorField"),
        ("distributions/uniform.py", "import math, numpy.linalg"),
    ],
)
def test_the_check_allows_a_right_import(tmp_path: Path, module: str, statement: str) -> None:
    path = tmp_path / "rmatch" / module
    path.parent.mkdir(parents=True)
    path.write_text(statement)
    assert layer_violations(read_package(tmp_path / "rmatch")) == []
