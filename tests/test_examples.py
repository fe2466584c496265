"""The examples run, briefly."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

import rmatch as rm

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


@pytest.mark.slow
def test_compare_objectives_draws_the_figures_of_its_page(tmp_path: Path) -> None:
    numbers = load("compare_objectives").main(budget=1.5, gap_budget=1.0, width=16, folder=tmp_path, samples=4)
    for name in ("compare-airports.png", "compare-gap.png", "compare-gap-score.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert numbers["airports flow NLL"] < 2.531  # the uniform density
    assert numbers["gap score: largest exact, σ = 0.1"] > 90  # a gap of 2 has its middle 1/σ² from both bands


@pytest.mark.parametrize("noise", [0.4, 0.15])
def test_the_score_of_noised_bands_is_that_of_many_kernels(noise: float) -> None:
    """A band is a mean over its points: here over 2 × 1000 midpoints, off by h²/24 (ln K)'² ~ h²/(24 σ⁴) in the gap."""
    example = load("compare_objectives")
    M = rm.Torus(1)
    middles = torch.cat([a + (b - a) * (torch.arange(1000) + 0.5).double() / 1000 for a, b in example.BANDS])[:, None]
    x = torch.tensor([0.3, 1.4, 2.5, 2.9, 3.0, 5.6], dtype=torch.float64)
    density, score = example.banded_score(x, noise)
    kernels = rm.HeatKernel(M, middles, noise**2)
    points = x[:, None, None].expand(-1, 2000, 1)
    logs = kernels.log_prob(points)
    bound = 2e-6 / 24 / noise**4
    torch.testing.assert_close(density, logs.exp().mean(1), rtol=bound, atol=0)
    weighted = logs.softmax(1) * kernels.score(points)[..., 0]
    torch.testing.assert_close(score, weighted.sum(1), rtol=10 * bound, atol=1e-6)


def test_a_flow_comes_closer_to_unnormalised_densities() -> None:
    """The uniform law has 38 % for the bumps and 0.6 % for the spins; a few steps do better than that."""
    bumps, spins = load("reverse_kl").main(bump_steps=40, spin_steps=15, samples=500)
    assert bumps > 0.8
    assert spins > 0.01


@pytest.mark.slow
def test_reverse_kl_reaches_four_fifths_of_the_samples() -> None:
    bumps, spins = load("reverse_kl").main()
    assert bumps > 0.8
    assert spins > 0.8


def test_every_example_is_run_here() -> None:
    tested = {
        "hyperbolic_tree",
        "rotations",
        "sphere_airports",
        "torus_ramachandran",
        "zuko_on_torus",
        "compare_objectives",
        "reverse_kl",
    }
    assert {path.stem for path in EXAMPLES.glob("*.py")} == tested
