"""The picture of a comparison."""

import math

import numpy as np
import pytest
import torch

import rmatch as rm
from rmatch.distributions import default_base
from rmatch.objectives import Pairing
from rmatch.plotting import Entry, plot_comparison

MEMBERS = [rm.Sphere(2), rm.Torus(1), rm.Torus(3), rm.SPD(2), rm.Product(rm.Sphere(2), rm.Torus(1))]


def entry(M: rm.Manifold, name: str) -> Entry:
    return Entry(name, [1.0, 2.0, 3.0], [math.inf, 3.0, 2.5], 0.02, 0.25, default_base(M).sample((30,)))


@pytest.fixture(scope="module")
def turns() -> Pairing:
    M = rm.Torus(1)
    base = rm.WrappedNormal(M, torch.tensor([1.0], dtype=torch.float64), 0.5)
    p, q = (rm.FlowPath(lambda t, x, speed=speed: torch.full_like(x, speed), base) for speed in (0.5, -0.5))
    return rm.pairing(p, q, times=5)


@pytest.mark.parametrize("M", MEMBERS, ids=repr)
def test_every_training_has_its_panel_beside_the_data(M: rm.Manifold, turns: Pairing) -> None:
    entries = [entry(M, "flow matching"), entry(M, "score matching")]
    figure = plot_comparison(
        M,
        entries,
        points=default_base(M).sample((40,)),
        lines=[("uniform", 2.5)],
        pairings=[("a with b", turns)],
        title="T",
    )
    labels = [axes.get_label() for axes in figure.axes]
    assert labels[:6] == ["NLL", "cost", "astray", "kl_rate", "score_matching", "flow_matching"]
    assert labels[6:] == ["data", "flow matching", "score matching"]
    figure.canvas.draw()
    width, height = figure.get_size_inches() * figure.dpi
    for axes in figure.axes:
        box = axes.get_tightbbox()
        assert box is not None
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width
        assert box.y1 <= height


def test_the_curves_show_what_is_finite_and_the_bars_what_they_say(turns: Pairing) -> None:
    M = rm.Torus(2)
    failed = Entry("score matching", [1.0], [math.inf], 2.376, None, None)
    figure = plot_comparison(
        M, [entry(M, "flow matching"), failed], points=torch.rand(20, 2), pairings=[("a with b", turns)]
    )
    panels = {str(axes.get_label()): axes for axes in figure.axes}
    assert "score matching" not in panels
    (curve,) = panels["NLL"].lines
    assert np.asarray(curve.get_ydata()).tolist() == [3.0, 2.5]
    assert [text.get_text() for text in panels["cost"].texts] == ["20", "2,376"]
    assert [text.get_text() for text in panels["astray"].texts] == ["25", "none"]
    line = panels["flow_matching"].lines[0]
    assert np.asarray(line.get_ydata()).tolist() == pytest.approx([1.0] * 5)


@pytest.mark.parametrize("count", [0, 5])
def test_so_many_trainings_are_refused(count: int) -> None:
    M = rm.Torus(2)
    with pytest.raises(rm.OptionError, match=f"1 to 4 trainings, got {count}"):
        plot_comparison(M, [entry(M, "flow matching")] * count, points=torch.rand(20, 2))
