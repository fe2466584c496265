"""What a user hands in to hyperbolic spaces, and what geomstats, an independent library, makes of the same."""

import math
from collections.abc import Iterator

import pytest
import torch

import rmatch as rm

MODELS: dict[str, type[rm.HyperbolicSpace]] = {"Lorentz": rm.Lorentz, "PoincareBall": rm.PoincareBall}
every_model = pytest.mark.parametrize("model", MODELS)


@every_model
@pytest.mark.parametrize("curvature", [0.0, 1.0, math.nan, -math.inf])
def test_a_curvature_that_is_not_negative_is_refused(model: str, curvature: float) -> None:
    with pytest.raises(rm.OptionError, match=r"curvature of a hyperbolic space is a negative number, got"):
        MODELS[model](2, curvature)
    for isometry in (rm.poincare_to_lorentz, rm.lorentz_to_poincare):
        with pytest.raises(rm.OptionError, match="use Sphere for positive curvature"):
            isometry(torch.zeros(3), curvature)


@every_model
def test_a_dimension_below_one_is_refused(model: str) -> None:
    with pytest.raises(rm.OptionError, match=rf"dimension 1 or more, got {model}\(0\)"):
        MODELS[model](0)


def test_a_row_outside_the_ball_is_named_with_its_norm_and_the_remedy() -> None:
    M = rm.PoincareBall(2, curvature=-4.0)
    x = torch.zeros(2, 3, 2)
    x[1, 2] = torch.tensor([0.3, 0.4])
    wanted = (
        "points on PoincareBall(2, curvature=-4.0) lie inside the ball of radius 0.5, but row 1, 2 has the norm 0.5; "
        "divide by a scale that brings the rows inside, or use project(x) to draw them to the edge"
    )
    assert M.check_point(x) == wanted
    with pytest.raises(rm.PointError, match=r"row 1, 2 has the norm 0\.5"):
        M.require_point(x)
    assert M.check_point(M.project(x)) is None
    assert M.check_point(x, tolerance=1e-3) is None
    assert M.check_point(0.99 * x) is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_row_off_the_hyperboloid_is_named_by_its_time_component(dtype: torch.dtype) -> None:
    M = rm.Lorentz(2)
    x = M.polar(torch.linspace(0, 8, 5, dtype=dtype), torch.tensor([0.6, 0.8], dtype=dtype).expand(5, 2))
    assert M.check_point(x) is None
    x[3, 0] *= 1.01
    problem = M.check_point(x)
    assert problem is not None
    assert (
        "row 3 is off the hyperboloid: its time component, which comes first, is wrong by 0.01 of its size" in problem
    )
    assert M.check_point(x, tolerance=0.02) is None
    assert M.check_point(M.project(x)) is None
    x[3, 0] *= -1
    assert "wrong by 2" in str(M.check_point(x))
    v = M.random_tangent(M.project(x))
    v[2, 0] += 0.1
    assert "row 2 has a normal part: its time component is off by" in str(M.check_tangent(M.project(x), v))


def test_exp_beyond_the_last_floats_of_the_ball_ends_on_the_last_shell() -> None:
    for dtype, reach in ((torch.float32, 14), (torch.float64, 34)):
        M = rm.PoincareBall(3)
        x = torch.tensor([0.9, 0.1, 0.2], dtype=dtype)
        v = torch.randn(100, 3, dtype=dtype, generator=torch.Generator().manual_seed(0)) * 1e3
        y = M.exp(x, v)
        assert M.check_point(y) is None
        assert float(M.dist(M.origin(dtype=dtype), y).min()) > reach


@pytest.fixture
def double() -> Iterator[None]:
    """geomstats makes its constants in the default dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.usefixtures("double")
@every_model
def test_geomstats_agrees_where_it_is_accurate(model: str) -> None:
    """At points within a distance of about 1 from the origin."""
    file, name = {"Lorentz": ("hyperboloid", "Hyperboloid"), "PoincareBall": ("poincare_ball", "PoincareBall")}[model]
    metric = getattr(rm.interop.import_geomstats(f"geometry.{file}"), name)(2).metric
    M = MODELS[model](2)
    origin = M.origin().expand(20, -1)
    generator = torch.Generator().manual_seed(0)
    x, y = (M.exp(origin, M.random_tangent(origin, generator=generator) / 2) for _ in range(2))
    v, w = (M.random_tangent(x, generator=generator) / 2 for _ in range(2))
    for ours, theirs in (
        (M.inner(x, v, w), metric.inner_product(v, w, x)),
        (M.dist(x, y), metric.dist(x, y)),
        (M.exp(x, v), metric.exp(v, x)),
        (M.log(x, y), metric.log(y, x)),
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-13)
