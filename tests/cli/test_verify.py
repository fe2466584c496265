"""`rmatch verify`: members by name, a user's file, other libraries, and every way to say it wrong."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

FILE = """
import rmatch as rm

class Projected(rm.Sphere):
    def __init__(self, n=2):
        super().__init__(n)
    def transport(self, x, y, v):
        return self.to_tangent(y, v)

class Needs(rm.Sphere):
    pass

right = rm.Torus(1)
number = 3
"""


def require(library: str) -> None:
    """Skip where it is not installed; importing geomstats here would choose its backend."""
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


def test_one_member_is_reported_in_full(rmatch: Any) -> None:
    status, out, err = rmatch("verify", "sphere", "--law", "transport", "--law", "leibniz")
    assert status == 0
    assert err == ""
    lines = out.splitlines()
    assert lines[0].startswith("Sphere(2): 7 laws hold (")
    assert [line.split()[1] for line in lines[1:]][-1] == "leibniz"


def test_a_broken_law_gives_status_1_with_its_counterexample(rmatch: Any, file: Path) -> None:
    status, out, _ = rmatch("verify", f"{file}:Projected", "--law", "transport-isometry")
    assert status == 1
    assert "✗ transport-isometry" in out
    assert "g_y(τv, τw) = g_x(v, w)" in out
    assert "for x = [0, 0, 1]" in out


def test_classes_with_arguments_and_objects_of_a_file(rmatch: Any, file: Path) -> None:
    assert rmatch("verify", f"{file}:Projected(3)", "--law", "metric").out.startswith("Projected(3): ")
    assert rmatch("verify", f"{file}:Needs(n=4)", "--law", "metric").out.startswith("Needs(4): ")
    assert rmatch("verify", f"{file}:right", "--law", "metric").out.startswith("Torus(1): ")


def test_json_and_html(rmatch: Any, file: Path) -> None:
    arguments = ("verify", f"{file}:Projected", "--law", "transport-isometry", "--format")
    values = json.loads(rmatch(*arguments, "json").out)
    assert values["ok"] is False
    assert values["reports"][0]["rows"][0]["law"] == "transport-isometry"
    status, page, _ = rmatch(*arguments, "html")
    assert status == 1
    assert page.startswith("<!doctype html>")
    assert "<td>transport-isometry</td>" in page


def test_several_members_run_side_by_side_and_come_back_in_order() -> None:
    """In a process of its own, which may start others."""
    command = [sys.executable, "-m", "rmatch", "verify", "torus:1", "sphere:2", "torus:1", "--law", "metric"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["Torus(1)", "Sphere(2)"]


def test_another_library_by_its_name(rmatch: Any) -> None:
    require("geomstats")
    status, out, _ = rmatch("verify", "geomstats:Hypersphere(2)", "--law", "metric")
    assert status == 0
    assert out.startswith("from_geomstats(Hypersphere, (3,)): 9 laws hold")


def test_another_library_as_it_is(rmatch: Any) -> None:
    """On geoopt's sphere a point is 4.5e-4 from itself: lengths of `log` are taken, unless that is what is examined."""
    require("geoopt")
    arguments = ("verify", "geoopt:Sphere(shape=(3,))", "--law", "distance-to-itself")
    assert rmatch(*arguments).status == 0
    assert rmatch(*arguments, "--as-is").status == 1


@pytest.mark.parametrize(
    ("subject", "wanted"),
    [
        ("spere:2", "did you mean 'sphere'?"),
        ("sphere:two", "is unknown"),
        ("nowhere.py:M", "no such file: nowhere.py"),
        ("FILE:Projectd", "has no 'Projectd'; did you mean 'Projected'?"),
        ("FILE:nothing", "there are: Projected, Needs, right"),
        ("FILE:number", "is a int, not a manifold"),
        ("FILE:Needs", "cannot be made: TypeError"),
        ("FILE:Needs(0)", "cannot be made: OptionError: a sphere has dimension 1 or more"),
        ("FILE:Needs(print('hello'))", "write a name, or a name with numbers"),
        ("FILE:rm.Sphere(2)", "write a name, or a name with numbers"),
        ("FILE:", "write a name"),
        ("geomstats:Hypersfere(2)", "geomstats has no such class"),
        ("geoopt:Sphere()", "say geoopt:Sphere(shape=(3,))"),
    ],
)
def test_bad_subjects_are_refused_in_one_line(refused: Any, file: Path, subject: str, wanted: str) -> None:
    for library in ("geomstats", "geoopt"):
        if subject.startswith(library):
            require(library)
    assert wanted in refused("verify", subject.replace("FILE", str(file)))


def test_bad_options_are_refused_before_anything_is_examined(refused: Any) -> None:
    assert "did you mean 'leibniz'?" in refused("verify", "sphere", "--law", "lebniz")
    assert "format" in refused("verify", "sphere", "--format", "xml").lower()


def test_a_file_that_cannot_be_imported_is_refused_with_its_error(refused: Any, tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("1 / 0")
    assert "cannot be imported: ZeroDivisionError: division by zero" in refused("verify", f"{path}:M")
