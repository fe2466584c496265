"""What holds for every member of a kind, whoever wrote it.

A new manifold, distribution, solver, path, premetric, coupling or schedule goes into the list of its kind in
`conformance_members`, and the first group of tests fails until it does.
"""

import copy
import importlib
import inspect
import math
import pkgutil

import pytest
import torch
from torch import Tensor

import rmatch as rm
from rmatch import fields

from .conformance_members import (
    COUPLINGS,
    DISTRIBUTIONS,
    FEATURES,
    FIELDS,
    KINDS,
    MANIFOLDS,
    PATHS,
    PREMETRICS,
    PROBABILITY_PATHS,
    SCHEDULES,
    SOLVERS,
    equidistant,
)

BATCHES = [(), (0,), (5,), (2, 3)]
DTYPES = [torch.float32, torch.float64]

every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
every_batch = pytest.mark.parametrize("batch", BATCHES, ids=str)


def members(kind: type) -> list[type]:
    """Every public class of rmatch that is a `kind` and not abstract."""
    for module in pkgutil.walk_packages(rm.__path__, "rmatch."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found: list[type] = []
    queue = [kind]
    while queue:
        for cls in queue.pop().__subclasses__():
            queue.append(cls)
            public = cls.__module__.split(".")[0] == "rmatch" and not cls.__name__.startswith("_")
            if public and not inspect.isabstract(cls) and cls not in found:
                found.append(cls)
    return found


def points(manifold: rm.Manifold, batch: tuple[int, ...], dtype: torch.dtype, seed: int = 0) -> Tensor:
    """Points around the origin, at a distance of about 1 in every dimension."""
    origin = manifold.origin(dtype=dtype).expand(*batch, *manifold.point_shape)
    return manifold.exp(origin, manifold.random_tangent(origin, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_public_class_of_the_kind_is_in_the_list(kind: type) -> None:
    listed = {type(member) for member in KINDS[kind]}
    missing = [cls.__qualname__ for cls in members(kind) if cls not in listed]
    assert not missing, f"add an instance of {missing} to the list of its kind in tests/conformance_members.py"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_public_class_of_the_kind_is_exported(kind: type) -> None:
    """From its room, and from the top; the parts of a network only from their room."""
    for cls in members(kind):
        room = importlib.import_module(".".join(cls.__module__.split(".")[:2]))
        assert cls.__name__ in room.__all__, f"export {cls.__name__} from {room.__name__}"
        if kind is not torch.nn.Module:
            assert getattr(rm, cls.__name__, None) is cls, f"export {cls.__name__} from rmatch"


@pytest.mark.parametrize("name", rm.__all__)
def test_every_exported_name_exists_and_is_documented(name: str) -> None:
    value = getattr(rm, name)
    if inspect.isclass(value) or inspect.isfunction(value) or inspect.ismodule(value):
        assert value.__doc__, f"rmatch.{name} has no docstring"
        assert not inspect.isclass(value) or value.__doc__ is not value.__base__.__doc__


@pytest.mark.parametrize(
    "member", [member for kind in KINDS.values() for member in kind], ids=lambda member: repr(member).split("\n")[0]
)
def test_repr_names_the_class_on_one_line_unless_it_is_a_module(member: object) -> None:
    text = repr(member)
    assert text.startswith(f"{type(member).__name__}(")
    assert isinstance(member, torch.nn.Module) or "\n" not in text
    assert " at 0x" not in text


# ---------------------------------------------------------------------------------------------- manifolds

every_manifold = pytest.mark.parametrize("M", MANIFOLDS, ids=repr)


@every_manifold
def test_manifold_repr_builds_an_equal_manifold(M: rm.Manifold) -> None:
    names = {name: getattr(rm, name) for name in dir(rm) if name[0].isupper()}
    again = eval(repr(M), {**names, "equidistant": equidistant})
    assert again == M
    assert hash(again) == hash(M)
    assert rm.Sphere(99) != M


@every_manifold
@every_batch
@every_dtype
def test_manifold_methods_keep_shape_and_dtype(M: rm.Manifold, batch: tuple[int, ...], dtype: torch.dtype) -> None:
    x, y = points(M, batch, dtype, 0), points(M, batch, dtype, 1)
    v = M.random_tangent(x, generator=torch.Generator().manual_seed(2))
    point = (*batch, *M.point_shape)
    frame = (*batch, M.dim, *M.point_shape)
    e = M.frame(x)
    expected: dict[str, tuple[Tensor, tuple[int, ...]]] = {
        "project": (x, point),
        "random_tangent": (v, point),
        "to_tangent": (M.to_tangent(x, torch.ones_like(x)), point),
        "sharp": (M.sharp(x, torch.ones_like(x)), point),
        "exp": (M.exp(x, v), point),
        "log": (M.log(x, y), point),
        "transport": (M.transport(x, y, v), point),
        "geodesic": (M.geodesic(x, y, 0.3), point),
        "inner": (M.inner(x, v, v), batch),
        "norm": (M.norm(x, v), batch),
        "dist": (M.dist(x, y), batch),
        "log_volume_density": (M.log_volume_density(x), batch),
        "log_det_exp": (M.log_det_exp(x, v), batch),
        "volume_form": (M.volume_form(x, e), batch),
        "frame": (e, frame),
        "coordinate_frame": (M.coordinate_frame(x), frame),
        "gradient": (M.gradient(lambda z: M.norm(z, M.log(z, y)) ** 2)(x), point),
        "divergence": (M.divergence(lambda z: M.to_tangent(z, z.sin()))(x), batch),
        "laplacian": (M.laplacian(lambda z: M.features(z).sum(-1))(x), batch),
    }
    for name, (value, shape) in expected.items():
        assert tuple(value.shape) == shape, name
        assert value.dtype == dtype, name
        assert bool(torch.isfinite(value).all()), name
    assert M.features(x).shape[:-1] == batch
    assert M.features(x).dtype == M.metric(x).dtype == dtype
    assert M.metric(x).shape[: len(batch)] == batch


@every_manifold
@every_dtype
def test_manifold_results_lie_where_they_should(M: rm.Manifold, dtype: torch.dtype) -> None:
    x, y = points(M, (16,), dtype, 0), points(M, (16,), dtype, 1)
    v = M.random_tangent(x, generator=torch.Generator().manual_seed(2))
    for point in (x, M.exp(x, v), M.geodesic(x, y, 0.5), M.project(3 * x), M.origin(dtype=dtype)):
        assert M.check_point(point) is None
    for base, tangent in ((x, v), (x, M.log(x, y)), (y, M.transport(x, y, v)), (x, M.to_tangent(x, y))):
        assert M.check_tangent(base, tangent) is None


@every_manifold
@every_dtype
@pytest.mark.parametrize("case", ["apart", "same point"])
def test_manifold_gradients_are_finite(M: rm.Manifold, dtype: torch.dtype, case: str) -> None:
    x = points(M, (6,), dtype, 0).requires_grad_()
    y = (x.detach().clone() if case == "same point" else points(M, (6,), dtype, 1)).requires_grad_()
    v = (torch.zeros_like(x) if case == "same point" else M.to_tangent(x, torch.ones_like(x)).detach()).requires_grad_()
    total = M.dist(x, y).sum() + M.log(x, y).sum() + M.exp(x, v).sum() + M.norm(x, v).sum()
    total = total + M.transport(x, y, v).sum() + M.geodesic(x, y, 0.5).sum() + M.log_det_exp(x, v).sum()
    for gradient in torch.autograd.grad(total, (x, y, v)):
        assert bool(torch.isfinite(gradient).all())


@every_manifold
def test_manifold_frame_is_orthonormal_and_spans_volume_one(M: rm.Manifold) -> None:
    x = points(M, (7,), torch.float64)
    e = M.frame(x)
    gram = M.inner(x[:, None, None], e[:, :, None], e[:, None, :])
    torch.testing.assert_close(gram, torch.eye(M.dim, dtype=x.dtype).expand(7, -1, -1), atol=1e-13, rtol=0)
    torch.testing.assert_close(M.volume_form(x, e).abs(), torch.ones(7, dtype=x.dtype), atol=1e-13, rtol=0)


@every_manifold
def test_manifold_refuses_what_is_no_point(M: rm.Manifold) -> None:
    bad = torch.full((3, *M.point_shape), math.nan)
    assert M.check_point(bad) is not None
    with pytest.raises(rm.PointError):
        M.require_point(bad)


# ------------------------------------------------------------------------------------------ distributions


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=repr)
@every_batch
@every_dtype
def test_distribution_samples_and_densities(
    distribution: rm.Distribution, batch: tuple[int, ...], dtype: torch.dtype
) -> None:
    M = distribution.manifold
    x = distribution.sample(batch, generator=torch.Generator().manual_seed(0), dtype=dtype)
    again = distribution.sample(batch, generator=torch.Generator().manual_seed(0), dtype=dtype)
    assert torch.equal(x, again)
    assert tuple(x.shape) == (*batch, *M.point_shape)
    assert x.dtype == dtype
    assert M.check_point(x) is None
    log_prob, score = distribution.log_prob(x), distribution.score(x)
    assert tuple(log_prob.shape) == batch
    assert score.shape == x.shape
    assert log_prob.dtype == score.dtype == dtype
    assert bool(torch.isfinite(log_prob).all() and torch.isfinite(score).all())
    assert M.check_tangent(x, score) is None


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=repr)
def test_distribution_refuses_points_of_another_manifold(distribution: rm.Distribution) -> None:
    shape = (*distribution.manifold.point_shape[:-1], distribution.manifold.point_shape[-1] + 1)
    for call in (distribution.log_prob, distribution.score):
        with pytest.raises(rm.ShapeError, match=r"points on .* have shape"):
            call(torch.zeros(5, *shape))


# ------------------------------------------------------------------------------------------------- fields


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: f"{type(field).__name__} on {field.manifold}")
@every_batch
@pytest.mark.parametrize("time", ["scalar", "one per row"])
def test_field_is_tangent_and_has_finite_gradients(field: torch.nn.Module, batch: tuple[int, ...], time: str) -> None:
    M = field.manifold
    assert isinstance(M, rm.Manifold)
    x = points(M, batch, torch.float32)
    t = torch.tensor(0.25) if time == "scalar" else torch.full(batch, 0.25)
    v = field(t, x)
    assert v.shape == x.shape
    assert v.dtype == x.dtype
    assert M.check_tangent(x, v) is None
    gradients = torch.autograd.grad(v.square().sum(), list(field.parameters()), allow_unused=True)
    assert all(bool(torch.isfinite(g).all()) for g in gradients if g is not None)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: f"{type(field).__name__} on {field.manifold}")
def test_field_state_can_be_saved_and_loaded(field: torch.nn.Module) -> None:
    other = copy.deepcopy(field)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    other.load_state_dict(field.state_dict())
    assert isinstance(field.manifold, rm.Manifold)
    t, x = torch.tensor(0.5), points(field.manifold, (4,), torch.float32)
    assert torch.equal(other(t, x), field(t, x))


@pytest.mark.parametrize("features", FEATURES, ids=lambda features: type(features).__name__)
@every_batch
@every_dtype
def test_features_are_finite_and_as_many_as_they_say(
    features: torch.nn.Module, batch: tuple[int, ...], dtype: torch.dtype
) -> None:
    shape = batch if isinstance(features, fields.TimeFeatures) else (*batch, 3)
    z = torch.linspace(0, 1, math.prod(shape), dtype=dtype).reshape(shape).requires_grad_()
    value = copy.deepcopy(features).to(dtype)(z)
    assert tuple(value.shape) == (*batch, features.size)
    assert value.dtype == dtype
    (gradient,) = torch.autograd.grad(value.sum(), z)
    assert bool(torch.isfinite(gradient).all())


# ------------------------------------------------------------------------------------------------ solvers


def drift(M: rm.Manifold) -> rm.VectorField:
    def field(t: Tensor, x: Tensor) -> Tensor:
        del t
        return M.span(x, x.new_ones(*x.shape[: -len(M.point_shape)], M.span_size))

    return field


@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
@pytest.mark.parametrize(
    "M",
    [
        rm.Sphere(2),
        rm.Torus(2),
        rm.Euclidean(3),
        rm.SPD(2),
        rm.SpecialOrthogonal(3),
        rm.Lorentz(2),
        rm.PoincareBall(2),
        rm.Product(rm.Sphere(2), rm.Torus(1)),
    ],
    ids=repr,
)
@every_batch
@every_dtype
def test_solver_stays_on_the_manifold_and_finds_its_way_back(
    solver: rm.Solver, M: rm.Manifold, batch: tuple[int, ...], dtype: torch.dtype
) -> None:
    x = points(M, batch, dtype)
    there = solver.solve(M, drift(M), x, 0.0, 0.5, divergence="exact")
    assert there.point.shape == x.shape
    assert there.point.dtype == dtype
    assert M.check_point(there.point) is None
    assert there.log_density_change is not None
    assert tuple(there.log_density_change.shape) == batch
    back = solver.solve(M, drift(M), there.point, 0.5, 0.0)
    assert back.log_density_change is None
    if math.prod(batch):
        assert there.evaluations > 0
        assert float(M.dist(back.point, x).max()) < 0.1  # Euler with 8 steps is the coarsest


@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
def test_solver_is_differentiable(solver: rm.Solver) -> None:
    M = rm.Sphere(2)
    x = points(M, (3,), torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(solver.solve(M, drift(M), x, 0.0, 0.5).point.sum(), x)
    assert bool(torch.isfinite(gradient).all())


# ------------------------------------------------------------------------------- paths, schedules, couplings


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
@every_dtype
def test_schedule_goes_from_zero_to_one_with_its_derivative(schedule: rm.Schedule, dtype: torch.dtype) -> None:
    t = torch.linspace(0, 1, 11, dtype=dtype)
    kappa = schedule.kappa(t)
    assert kappa.shape == t.shape
    assert kappa.dtype == dtype
    rate = torch.as_tensor(schedule.rate(t), dtype=dtype).expand_as(t)
    torch.testing.assert_close(kappa[[0, -1]], torch.tensor([0.0, 1.0], dtype=dtype), atol=1e-6, rtol=0)
    slope = torch.func.vmap(torch.func.grad(schedule.kappa))(t)
    torch.testing.assert_close(slope, rate, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("path", PATHS, ids=repr)
@every_batch
@every_dtype
def test_path_joins_its_ends_with_a_finite_velocity(
    path: rm.ConditionalPath, batch: tuple[int, ...], dtype: torch.dtype
) -> None:
    M = path.manifold
    x0, x1 = points(M, batch, dtype, 0), points(M, batch, dtype, 1)
    for time, end in ((0.0, x0), (1.0, x1)):
        x_t, u_t = path.sample(torch.full(batch, time, dtype=dtype), x0, x1)
        assert x_t.shape == u_t.shape == x0.shape
        assert x_t.dtype == u_t.dtype == dtype
        assert M.check_point(x_t) is None
        assert M.check_tangent(x_t, u_t) is None
        assert bool((M.dist(x_t, end) < 1e-3).all())


@pytest.mark.parametrize("premetric", PREMETRICS, ids=repr)
@every_batch
@every_dtype
def test_premetric_is_zero_at_its_point_alone_with_a_finite_gradient(
    premetric: rm.Premetric, batch: tuple[int, ...], dtype: torch.dtype
) -> None:
    M = premetric.manifold
    x, y = points(M, batch, dtype, 0), points(M, batch, dtype, 1)
    dist, gradient = premetric.dist_and_gradient(x, y)
    assert tuple(dist.shape) == batch
    assert gradient.shape == x.shape
    assert dist.dtype == gradient.dtype == dtype
    assert M.check_tangent(x, gradient) is None
    assert bool((dist > 0).all())
    assert torch.equal(premetric.dist(y, y), torch.zeros(batch, dtype=dtype))
    assert torch.equal(premetric.gradient(y, y), torch.zeros_like(y))
    torch.testing.assert_close(premetric.gradient(x, y), gradient)


@pytest.mark.parametrize("path", PROBABILITY_PATHS, ids=lambda path: repr(path).split("\n")[0])
@every_batch
@every_dtype
def test_probability_path_has_samples_densities_scores_and_a_field(
    path: rm.ProbabilityPath, batch: tuple[int, ...], dtype: torch.dtype
) -> None:
    M = path.manifold
    path = copy.deepcopy(path)
    if isinstance(path, rm.FlowPath) and isinstance(path.field, torch.nn.Module):
        path.field.to(dtype)
    for t in (0.0, 0.5, 1.0):
        x = path.sample(t, batch, generator=torch.Generator().manual_seed(0), dtype=dtype)
        assert tuple(x.shape) == (*batch, *M.point_shape)
        assert M.check_point(x) is None
        log_prob, score, velocity = path.log_prob(t, x), path.score(t, x), path.velocity(t, x)
        assert tuple(log_prob.shape) == batch
        assert score.shape == velocity.shape == x.shape
        assert x.dtype == log_prob.dtype == score.dtype == velocity.dtype == dtype
        for value in (log_prob, score, velocity):
            assert bool(value.isfinite().all())
        for vector in (score, velocity):
            assert M.check_tangent(x, vector) is None
    for t in (-0.5, 1.5):
        for call in (path.sample, lambda t: path.log_prob(t, x), lambda t: path.velocity(t, x)):
            with pytest.raises(rm.OptionError, match="from 0 to 1"):
                call(t)


@pytest.mark.parametrize("coupling", COUPLINGS, ids=repr)
@pytest.mark.parametrize("rows", [0, 1, 7])
def test_coupling_pairs_every_row_once(coupling: rm.Coupling, rows: int) -> None:
    M = rm.Sphere(2)
    x0, x1 = points(M, (rows,), torch.float32, 0), points(M, (rows,), torch.float32, 1)
    left, right = coupling.couple(x0, x1)
    for before, after in ((x0, left), (x1, right)):
        assert sorted(map(tuple, before.tolist())) == sorted(map(tuple, after.tolist()))
