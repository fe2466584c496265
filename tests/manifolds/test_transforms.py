"""Shapes, dtypes, devices, and the same numbers under vmap and compile as without."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rmatch.manifolds import Manifold, Sphere, Torus

from .cases import DTYPES, cut_point, every_dtype, every_member, points, tangents

Primitive = Callable[..., Tensor]

# what each takes beside the base point: other points (y) and tangent vectors (v)
METHODS: dict[str, tuple[str, Callable[[Manifold], Primitive]]] = {
    "dist": ("y", lambda M: M.dist),
    "log": ("y", lambda M: M.log),
    "exp": ("v", lambda M: M.exp),
    "norm": ("v", lambda M: M.norm),
    "inner": ("vv", lambda M: M.inner),
    "transport": ("yv", lambda M: M.transport),
    "geodesic": ("y", lambda M: lambda x, y: M.geodesic(x, y, 0.3)),
    "velocity": ("y", lambda M: lambda x, y: M.geodesic_with_velocity(x, y, 0.3)[1]),
    "to_tangent": ("v", lambda M: M.to_tangent),
    "sharp": ("v", lambda M: M.sharp),
    "log_det_exp": ("v", lambda M: M.log_det_exp),
    "is_minimising": ("v", lambda M: M.is_minimising),
    "project": ("", lambda M: M.project),
    "frame": ("", lambda M: M.frame),
    "metric": ("", lambda M: M.metric),
    "features": ("", lambda M: M.features),
}
every_method = pytest.mark.parametrize("name", METHODS)


def arguments(M: Manifold, kinds: str, x: Tensor) -> list[Tensor]:
    batch = tuple(x.shape[:-1])
    made: list[Tensor] = [x]
    for position, kind in enumerate(kinds):
        made.append(points(M, batch, 10 + position, x.dtype) if kind == "y" else tangents(M, x, 20 + position))
    return made


@every_member
@every_method
@every_dtype
def test_rows_do_not_depend_on_their_batch(M: Manifold, name: str, dtype: torch.dtype) -> None:
    """A row alone, in a batch, in a grid, under vmap, and no row at all; special rows do not change others."""
    kinds, method = METHODS[name]
    f = method(M)
    eps = torch.finfo(dtype).eps
    x = points(M, (6,), 0, dtype)
    given = arguments(M, kinds, x)
    if "y" in kinds:
        given[1][1], given[1][2] = x[1], cut_point(M, x)[2]
    if "v" in kinds:
        given[-1][3] = 0.0
    together = f(*given)
    assert together.dtype == (torch.bool if name == "is_minimising" else dtype)

    def close(value: Tensor, wanted: Tensor) -> None:
        torch.testing.assert_close(value, wanted, rtol=32 * eps, atol=64 * eps)

    for row in (0, 1, 2, 3, 5):
        close(f(*(a[row] for a in given)), together[row])
    close(torch.func.vmap(f)(*given), together)
    grid = f(*(a.reshape(2, 3, -1) for a in given))
    close(grid, together.reshape(2, 3, *together.shape[1:]))
    none = f(*(a[:0] for a in given))
    assert none.shape == (0, *together.shape[1:])
    assert none.dtype == together.dtype


@every_member
@pytest.mark.parametrize("name", [name for name, (kinds, _) in METHODS.items() if kinds])
def test_base_points_and_the_rest_broadcast(M: Manifold, name: str) -> None:
    kinds, method = METHODS[name]
    f = method(M)
    x = points(M)
    given = [x, *arguments(M, kinds, x.expand(5, -1))[1:]]
    wide = f(*(a.expand(5, *a.shape[-1:]) for a in given))
    torch.testing.assert_close(f(*given), wide)
    torch.testing.assert_close(f(given[0][None, None], *given[1:]), wide[None])
    if kinds == "y":
        torch.testing.assert_close(f(given[1], x), f(given[1], x.expand(5, -1)))


@every_member
def test_one_time_per_row_and_times_against_a_single_geodesic(M: Manifold) -> None:
    x, y = points(M, (5,), 0), points(M, (5,), 1)
    t = torch.linspace(0, 1, 5, dtype=x.dtype)
    per_row = M.geodesic(x, y, t)
    for row in range(5):
        torch.testing.assert_close(per_row[row], M.geodesic(x[row], y[row], float(t[row])))
    along = M.geodesic(x[0], y[0], t)
    assert along.shape == (5, *M.point_shape)
    point, velocity = M.geodesic_with_velocity(x[0], y[0], t)
    torch.testing.assert_close(point, along)
    assert M.check_tangent(point, velocity.expand_as(point)) is None


@every_member
@every_method
def test_results_stay_on_the_device(M: Manifold, name: str) -> None:
    """The meta device carries shapes, dtypes and devices without values: one made on the CPU would clash."""
    kinds, method = METHODS[name]
    given = [a.to("meta") for a in arguments(M, kinds, points(M, (4,)))]
    assert method(M)(*given).device.type == "meta"
    assert M.origin(device=torch.device("meta")).device.type == "meta"
    assert M.quadrature(3, device=torch.device("meta")).nodes.device.type == "meta"


@every_member
def test_origin_has_the_dtype_asked_for_and_is_a_point(M: Manifold) -> None:
    for dtype in DTYPES:
        assert M.origin(dtype=dtype).dtype == dtype
        assert M.check_point(M.origin(dtype=dtype)) is None
    assert M.origin().dtype == torch.get_default_dtype()


@pytest.mark.parametrize("M", [Sphere(2), Torus(3)], ids=repr)
@pytest.mark.parametrize("name", ["dist", "log", "exp", "transport", "velocity", "project"])
def test_compiled_without_a_graph_break_gives_the_same_numbers_and_gradients(M: Manifold, name: str) -> None:
    """`aot_eager` traces forward and backward as a compiler would, and runs them without one.

    A compiled function always takes the branch that is right for all rows; off the manifold it may differ from the
    other, so gradients are compared along it.
    """
    kinds, method = METHODS[name]
    f = method(M)
    given = [a.requires_grad_() for a in arguments(M, kinds, points(M, (6,)))]
    torch._dynamo.reset()
    compiled = torch.compile(f, fullgraph=True, backend="aot_eager")
    value, wanted = compiled(*given), f(*given)
    torch.testing.assert_close(value, wanted, rtol=1e-13, atol=1e-13)
    bases = [given[0], *(given[0] if kind == "v" else given[1] for kind in kinds)]  # where each argument may move
    gradients, plain = (torch.autograd.grad(v.sum(), given, materialize_grads=True) for v in (value, wanted))
    for base, mine, eager in zip(bases, gradients, plain, strict=True):
        here = base.detach()
        torch.testing.assert_close(M.to_tangent(here, mine), M.to_tangent(here, eager), rtol=1e-11, atol=1e-11)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["dist", "log", "exp"])
def test_compiled_by_inductor_gives_the_same_numbers(name: str) -> None:
    import shutil

    if not (shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("torch.compile needs a C++ compiler")
    M = Sphere(2)
    kinds, method = METHODS[name]
    given = arguments(M, kinds, points(M, (6,)))
    torch._dynamo.reset()
    compiled = torch.compile(method(M), fullgraph=True)
    torch.testing.assert_close(compiled(*given), method(M)(*given), rtol=1e-13, atol=1e-13)
