"""A field and its exact divergence on S², six layers of 512 units at batch 1000.

The x is in units of one forward pass. It cannot be less than 3: the pass itself, and two vector-Jacobian products.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import rmatch as rm

from .timing import measure

M = rm.Sphere(2)
Field = Callable[[Tensor], Tensor]


def perceptron() -> Field:
    """A plain network, as the peers' examples have it."""
    layers: list[nn.Module] = [nn.Linear(3, 512), nn.SiLU()]
    for _ in range(5):
        layers += [nn.Linear(512, 512), nn.SiLU()]
    net = nn.Sequential(*layers, nn.Linear(512, 3)).requires_grad_(False)
    return lambda x: M.to_tangent(x, net(x))


def tangent_mlp() -> Field:
    net = rm.TangentMLP(M, width=512, depth=6).requires_grad_(False)
    half = torch.tensor(0.5)
    return lambda x: net(half, x)


def vmapped_jacobian(field: Field) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """What a user writes by hand: the trace of the Jacobian of the field at the projected point, row by row."""

    def evaluate(x: Tensor) -> tuple[Tensor, Tensor]:
        jacobian = torch.func.vmap(torch.func.jacrev(lambda z: field(M.project(z))))(x)
        return field(x), jacobian.diagonal(dim1=-2, dim2=-1).sum(-1)

    return evaluate


WAYS = {"rmatch": M.value_and_divergence, "vmap(jacrev) + forward": vmapped_jacobian}


@torch.no_grad()  # as in an evaluation
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("network", [perceptron, tangent_mlp])
def test_field_and_exact_divergence(benchmark: Any, network: Callable[[], Field], way: str) -> None:
    x = M.project(torch.randn(1000, 3))
    field = network()
    evaluate = WAYS[way](field)
    task = f"S2 value and divergence, 6x512 {network.__name__}"
    target = "target: 3.3x (forward passes)"
    measure(benchmark, task, way, lambda: evaluate(x), lambda: field(x), rounds=30, target=target)
