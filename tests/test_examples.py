"""The examples run, briefly."""

import importlib.util
from pathlib import Path
from types import ModuleType

EXAMPLES = Path(__file__).parent.parent / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sphere_airports_beats_the_uniform_density(tmp_path: Path) -> None:
    picture = tmp_path / "airports.png"
    assert load("sphere_airports").main(steps=60, width=32, picture=picture) < 2.4
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_torus_ramachandran_samples_the_helices(tmp_path: Path) -> None:
    """The uniform law has a share of 4 % there, the data of about half: even a short training moves most of it."""
    picture = tmp_path / "ramachandran.png"
    data, samples = load("torus_ramachandran").main(steps=100, width=32, picture=picture)
    assert 0.3 < data < 0.6
    assert abs(samples - data) < 0.1
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_flow_of_zuko_learns_by_maximum_likelihood_and_has_mass_one() -> None:
    mass, nll = load("zuko_on_torus").main(steps=60)
    assert abs(mass - 1) < 0.01
    assert nll < 3.0  # the uniform density has 3.68


def test_hyperbolic_tree_beats_its_base_law(tmp_path: Path) -> None:
    picture = tmp_path / "tree.png"
    flow, base = load("hyperbolic_tree").main(steps=100, width=32, picture=picture, rows_of_grid=16)
    assert flow < base - 0.5
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_rotations_finds_all_four_poses(tmp_path: Path) -> None:
    """The uniform law has a share of 1 % within 40 degrees of each pose, the data of a quarter."""
    picture = tmp_path / "rotations.png"
    nll, shares = load("rotations").main(steps=100, width=32, picture=picture)
    assert nll < 3.5  # the uniform density has 4.37
    assert shares.min() > 0.1
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_every_example_is_run_here() -> None:
    tested = {"hyperbolic_tree", "rotations", "sphere_airports", "torus_ramachandran", "zuko_on_torus"}
    assert {path.stem for path in EXAMPLES.glob("*.py")} == tested
