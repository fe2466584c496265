"""The differential of the log-density along a flow, and gradients in little memory."""

import pytest
import torch
from torch import Tensor

from rmatch._errors import OptionError, ShapeError
from rmatch.distributions import Uniform, WrappedNormal
from rmatch.fields import TangentMLP
from rmatch.manifolds import Euclidean, Manifold, Sphere, Torus
from rmatch.paths import FlowPath
from rmatch.solvers import RK4, DormandPrince, Solver

PRECISE = DormandPrince(rtol=1e-8, atol=1e-8)
MEMBERS: list[Manifold] = [Sphere(1), Sphere(2), Sphere(4), Torus(2), Euclidean(3)]


def wavy(M: Manifold, seed: int = 0) -> torch.nn.Module:
    """A smooth field with a divergence and a curl: a network with random weights in its last layer too."""
    field = TangentMLP(M, width=8, depth=1, frequencies=(), seed=seed).double()
    with torch.no_grad():
        field.last.weight.copy_(torch.randn(field.last.weight.shape, generator=torch.Generator().manual_seed(seed)))
    return field


def base(M: Manifold) -> WrappedNormal:
    return WrappedNormal(M, M.origin(dtype=torch.float64), 0.7)


def near_origin(M: Manifold, n: int = 3) -> Tensor:
    return base(M).sample((n,), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("M", MEMBERS, ids=repr)
@pytest.mark.parametrize("t", [0.0, 0.7])
def test_the_score_by_its_own_equation_is_the_gradient_of_the_log_density(M: Manifold, t: float) -> None:
    path, x = FlowPath(wavy(M), base=base(M), solver=PRECISE), near_origin(M)
    log_prob, score = path.log_prob_and_score(t, x)
    torch.testing.assert_close(score, M.gradient(lambda y: path.log_prob(t, y))(x), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(log_prob, path.log_prob(t, x), rtol=1e-7, atol=1e-7)
    assert M.check_tangent(x, score) is None
    assert not score.requires_grad


def test_the_extension_of_the_first_differential_off_the_manifold_does_not_matter() -> None:
    M = Sphere(2)
    field, x = wavy(M), near_origin(M)
    start = M.to_tangent(x, torch.ones_like(x))
    ends = [
        PRECISE.solve(M, field, x, 0.0, 1.0, divergence="exact", differential=d).differential
        for d in (start, start + 3.0 * x)
    ]
    assert ends[0] is not None
    assert ends[1] is not None
    at = PRECISE.solve(M, field, x, 0.0, 1.0).point
    torch.testing.assert_close(M.sharp(at, ends[0]), M.sharp(at, ends[1]), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("solver", [RK4(steps=5), DormandPrince(1e-5, 1e-5)], ids=repr)
@pytest.mark.parametrize("divergence", [None, "exact", "hutchinson"])
@pytest.mark.parametrize("M", [Sphere(2), Torus(2)], ids=repr)
def test_gradients_in_little_memory_are_those_of_the_whole_graph(
    M: Manifold, divergence: str | None, solver: Solver
) -> None:
    field, x = wavy(M), near_origin(M).requires_grad_()
    parameters = list(field.parameters())

    def gradients(kept: list[torch.nn.Parameter] | None) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(3)
        end = solver.solve(M, field, x, 0.0, 1.0, divergence=divergence, generator=generator, parameters=kept)
        total = (end.point * torch.arange(1.0, 1 + end.point.shape[-1])).sum()
        if end.log_density_change is not None:
            total = total + end.log_density_change.square().sum()
        return torch.autograd.grad(total, [x, *parameters], allow_unused=True, materialize_grads=True)

    for found, wanted in zip(gradients(parameters), gradients(None), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-11)


def test_memory_does_not_grow_with_the_number_of_steps() -> None:
    """Counted in bytes of the tensors that the graph keeps alive until the backward pass."""
    M, x = Sphere(2), near_origin(Sphere(2), 64)
    field = wavy(M)

    def kept(steps: int, parameters: list[torch.nn.Parameter] | None) -> int:
        total = 0

        def pack(value: Tensor) -> Tensor:
            nonlocal total
            total += value.numel() * value.element_size()
            return value

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
            RK4(steps).solve(M, field, x, 0.0, 1.0, parameters=parameters)
        return total

    parameters = list(field.parameters())
    assert kept(40, parameters) == kept(5, parameters)
    assert kept(40, None) > 6 * kept(5, None)


def test_a_differential_that_cannot_be_carried_is_refused() -> None:
    M, x = Sphere(2), near_origin(Sphere(2))
    with pytest.raises(OptionError, match="exact divergence only"):
        PRECISE.solve(M, wavy(M), x, 0.0, 1.0, differential=torch.zeros_like(x))
    with pytest.raises(ShapeError, match=r"\(3, 3\) of the points, got \(3,\)"):
        PRECISE.solve(M, wavy(M), x, 0.0, 1.0, divergence="exact", differential=torch.zeros(3))
    uniform = FlowPath(wavy(M), base=Uniform(M))
    with pytest.raises(OptionError, match="not with parameters"):
        uniform.solve(x, 0.0, 1.0, divergence="exact", differential=torch.zeros_like(x), parameters=[])
