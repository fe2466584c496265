"""Files are whole or absent, and a missing matplotlib is named with its remedy."""

import builtins
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from rmatch import DependencyError, OptionError, OutputError
from rmatch.plotting import plot_torus, save_figure, stack_figures


def small() -> Figure:
    return plot_torus(lambda x: x.cos().sum(-1), 1, resolution=8)


def test_a_png_can_be_read_back_in_its_size(tmp_path: Path) -> None:
    figure = small()
    save_figure(figure, tmp_path / "curve.png")
    width, height = figure.get_size_inches() * figure.dpi
    assert imread(tmp_path / "curve.png").shape == (int(height), int(width), 4)


def test_pdf_and_svg_are_what_they_say(tmp_path: Path) -> None:
    save_figure(small(), tmp_path / "curve.PDF")
    save_figure(small(), str(tmp_path / "curve.svg"))
    assert (tmp_path / "curve.PDF").read_bytes().startswith(b"%PDF")
    assert ElementTree.parse(tmp_path / "curve.svg").getroot().tag.endswith("svg")


@pytest.mark.parametrize("name", ["curve.png", "curve.pdf"])
def test_the_same_figure_gives_the_same_bytes_on_any_day(tmp_path: Path, name: str) -> None:
    save_figure(small(), tmp_path / name)
    first = (tmp_path / name).read_bytes()
    save_figure(small(), tmp_path / name)
    assert (tmp_path / name).read_bytes() == first
    assert b"Date" not in first


@pytest.mark.parametrize("name", ["curve.bmp", "curve", ".png"])
def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(OptionError, match=r"\.png, \.pdf, \.svg"):
        save_figure(small(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_half_way_leaves_the_old_picture_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "curve.png"
    path.write_bytes(b"the old picture")

    def full_disk(self: Figure, file: Any, **_: object) -> None:
        file.write(b"half a pict")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full_disk)
    with pytest.raises(OutputError, match="No space left on device"):
        save_figure(Figure(), path)
    assert path.read_bytes() == b"the old picture"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nowhere"):
        save_figure(small(), tmp_path / "nowhere" / "curve.png")


def test_without_matplotlib_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> Any:
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(name)
        return real(name, globals, locals, fromlist, level)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DependencyError, match=r'pip install "rmatch\[plot\]"'):
        small()


def test_a_picture_leaves_pyplot_alone() -> None:
    import matplotlib.pyplot as plt

    settings = dict(plt.rcParams)
    small()
    assert plt.get_fignums() == []
    assert dict(plt.rcParams) == settings


def test_stacked_figures_are_the_same_pixels_below_each_other(tmp_path: Path) -> None:
    figures = [small(), plot_torus(lambda x: x.sin().sum(-1), 1, resolution=8)]
    for index, figure in enumerate(figures):
        save_figure(figure, tmp_path / f"{index}.png")
    save_figure(stack_figures(figures), tmp_path / "stacked.png")
    parts = [imread(tmp_path / f"{index}.png") for index in range(2)]
    stacked = imread(tmp_path / "stacked.png")
    wanted = np.concatenate(parts)
    assert stacked.shape == wanted.shape
    assert np.abs(stacked - wanted).mean() < 0.1 * (1 - wanted).mean()  # of the ink; borders of pixels may be blended
