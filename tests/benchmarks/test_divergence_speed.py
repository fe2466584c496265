"""A field and its exact divergence on S², six layers of 512 units at batch 1000, in units of one forward pass."""

import statistics
import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import rmatch as rm

M = rm.Sphere(2)
Field = Callable[[Tensor], Tensor]


def perceptron() -> Field:
    """A plain network, as the peers' examples have it."""
    layers: list[nn.Module] = [nn.Linear(3, 512), nn.SiLU()]
    for _ in range(5):
        layers += [nn.Linear(512, 512), nn.SiLU()]
    net = nn.Sequential(*layers, nn.Linear(512, 3)).requires_grad_(False)
    return lambda x: M.to_tangent(x, net(x))


def own_network() -> Field:
    net = rm.TangentMLP(M, width=512, depth=6).requires_grad_(False)
    half = torch.tensor(0.5)
    return lambda x: net(half, x)


def vmapped_jacobian(field: Field) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """What a user writes by hand: the trace of the Jacobian of the field at the projected point, row by row."""

    def evaluate(x: Tensor) -> tuple[Tensor, Tensor]:
        jacobian = torch.func.vmap(torch.func.jacrev(lambda z: field(M.project(z))))(x)
        return field(x), jacobian.diagonal(dim1=-2, dim2=-1).sum(-1)

    return evaluate


WAYS = {
    "rmatch": lambda field: M.value_and_divergence(field),
    "vmap jacrev + forward": vmapped_jacobian,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("network", [perceptron, own_network])
def test_field_and_exact_divergence(benchmark: object, network: Callable[[], Field], way: str) -> None:
    x = M.project(torch.randn(1000, 3))
    field = network()
    evaluate = WAYS[way](field)
    forward: list[float] = []

    def one_forward_pass() -> None:  # before each round, so that both see the same load of the machine
        start = time.perf_counter()
        field(x)
        forward.append(time.perf_counter() - start)

    benchmark.group = f"S2 value and divergence, 6x512 {network.__name__}"
    benchmark.pedantic(evaluate, args=(x,), setup=one_forward_pass, rounds=40, warmup_rounds=3)
    passes = benchmark.stats.stats.median / statistics.median(forward)
    benchmark.extra_info.update(who=way, unit=f"{passes:.2f} forward passes", target="target: 3.3 forward passes")
