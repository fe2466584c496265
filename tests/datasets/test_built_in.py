"""The built-in data sets: what they hold, what they say of themselves, and what happens without their packages."""

import csv
import importlib.util
import math
import sys
from pathlib import Path

import mpmath
import numpy as np
import pytest
import torch

from rmatch import datasets
from rmatch._errors import DependencyError, OptionError, ShapeError
from rmatch.datasets import Dataset, LatitudeLongitude
from rmatch.manifolds import Sphere, Torus


def package_file(package: str, *parts: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]).joinpath(*parts)


@pytest.mark.parametrize("name", ["airports", "ramachandran"])
def test_what_is_available_is_what_is_loaded(name: str) -> None:
    info = next(info for info in datasets.available() if info.name == name)
    data = datasets.load(name)
    assert (info.name, info.manifold, info.rows) == (data.name, data.manifold, len(data))
    assert (info.source, info.licence) == (data.source, data.licence)
    assert "\n" not in info.description
    assert data.points.dtype == torch.float64
    assert data.manifold.check_point(data.points) is None
    assert data.unit == "degrees"


def test_rows_are_those_of_the_pinned_packages() -> None:
    assert [(info.name, info.rows) for info in datasets.available()] == [("airports", 7884), ("ramachandran", 100816)]


def test_rows_are_known_without_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = datasets.available()
    monkeypatch.setitem(sys.modules, "airportsdata", None)
    monkeypatch.setitem(sys.modules, "MDAnalysis", None)
    assert datasets.available() == installed


def test_airports_are_the_rows_of_the_wheel_with_a_code() -> None:
    with package_file("airportsdata", "airports.csv").open(encoding="utf-8") as file:
        rows = [(float(row["lat"]), float(row["lon"])) for row in csv.DictReader(file) if row["iata"]]
    data = datasets.load("airports")
    assert data.manifold == Sphere(2)
    assert data.columns == ("latitude", "longitude")
    assert data.kind == "latlon"
    np.testing.assert_allclose(np.sort(data.to_table(data.points), axis=0), np.sort(rows, axis=0), atol=1e-12)


def test_heathrow_is_where_it_is() -> None:
    latitude, longitude = mpmath.radians(mpmath.mpf("51.4706")), mpmath.radians(mpmath.mpf("-0.46194"))
    x, y = mpmath.cos(latitude) * mpmath.cos(longitude), mpmath.cos(latitude) * mpmath.sin(longitude)
    expected = torch.tensor([float(x), float(y), float(mpmath.sin(latitude))], dtype=torch.float64)
    assert float((datasets.load("airports").points - expected).norm(dim=-1).min()) < 1e-15


@pytest.mark.parametrize("seed", [0, 1])
def test_binning_the_angles_again_gives_the_counts_back(seed: int) -> None:
    counts = np.load(package_file("MDAnalysis", "analysis", "data", "rama_ref_data.npy"))
    data = datasets.load("ramachandran", seed=seed)
    assert data.manifold == Torus(2)
    assert data.columns == ("phi", "psi")
    phi, psi = data.to_table(data.points).T
    edges = np.linspace(-180, 180, 91)
    again, _, _ = np.histogram2d(psi, phi, bins=(edges, edges))
    assert counts.sum() == 100816
    np.testing.assert_array_equal(again, counts)


def test_the_residues_of_helices_are_where_helices_are() -> None:
    # right-handed helices lie at φ = -63°, ψ = -42° or so (Lovell et al. 2003); swapped axes would put them elsewhere
    data = datasets.load("ramachandran")
    phi, psi = data.to_table(data.points).T
    near = (np.abs(phi + 63) < 20) & (np.abs(psi + 42) < 20)
    assert 0.3 < near.mean() < 0.6
    assert phi[near].mean() == pytest.approx(-63, abs=2)
    assert psi[near].mean() == pytest.approx(-42, abs=3)


def test_residues_are_uniform_in_their_bins() -> None:
    data = datasets.load("ramachandran")
    place = np.mod(data.to_table(data.points) + 180, 4) / 4
    # the mean and the variance of 100,816 uniform numbers, to five standard errors
    assert np.abs(place.mean(axis=0) - 0.5).max() < 5 * math.sqrt(1 / 12 / len(place))
    assert np.abs(place.var(axis=0) - 1 / 12).max() < 5 * math.sqrt(1 / 180 / len(place))


def test_the_jitter_depends_on_the_seed_only() -> None:
    torch.manual_seed(1)
    first = datasets.load("ramachandran", seed=3).points
    torch.manual_seed(2)
    assert torch.equal(first, datasets.load("ramachandran", seed=3).points)
    assert not torch.equal(first, datasets.load("ramachandran", seed=4).points)


@pytest.mark.parametrize(("name", "package"), [("airports", "airportsdata"), ("ramachandran", "MDAnalysis")])
def test_a_missing_package_is_named_with_the_command(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DependencyError) as caught:
        datasets.load(name)
    assert package in str(caught.value)
    assert str(caught.value).endswith('pip install "rmatch[examples]"')


def test_mdanalysis_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "MDAnalysis", raising=False)
    datasets.load("ramachandran")
    assert "MDAnalysis" not in sys.modules


def test_an_unknown_name_is_refused_with_the_closest() -> None:
    with pytest.raises(OptionError) as caught:
        datasets.load("airport")
    text = "no built-in data set 'airport'; there are: airports, ramachandran; did you mean 'airports'?"
    assert str(caught.value) == text


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(OptionError, match="a seed is 0 or larger, got -2"):
        datasets.load("ramachandran", seed=-2)


def test_points_of_another_shape_than_the_manifold_are_refused() -> None:
    coordinates = LatitudeLongitude(Sphere(2), ("lat", "lon"), "degrees")
    with pytest.raises(ShapeError, match=r"points of shape \(5, 2\) given, Sphere\(2\) has \('N', 3\)"):
        Dataset("bad", Sphere(2), torch.zeros(5, 2), coordinates, source="", licence="")


def test_everything_exported_is_there() -> None:
    assert all(hasattr(datasets, name) for name in datasets.__all__)
