"""A trained flow is a density on every member: its mass is one, and its likelihood is the same there and back."""

import math
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

import rmatch as rm

pytestmark = pytest.mark.slow  # a minute in all

PRECISE = rm.DormandPrince(rtol=1e-7, atol=1e-7)


class Case(NamedTuple):
    """A rule fine enough for the density, and two clusters: their width, and how far apart they are."""

    degree: int
    width: float = 0.5
    apart: float = 1.5


MEMBERS: dict[rm.Manifold, Case] = {
    rm.PoincareBall(2): Case(40),
    rm.Lorentz(2): Case(40),
    rm.SPD(2): Case(32, width=1.0, apart=0.8),  # the rule is made for densities as wide as a standard normal one
    rm.SpecialOrthogonal(3): Case(24),
    rm.Product(rm.Sphere(2), rm.Torus(1)): Case(36),
}


def two_clusters(manifold: rm.Manifold) -> Tensor:
    """Half the points about the origin, half about another point."""
    case, generator = MEMBERS[manifold], torch.Generator().manual_seed(0)
    origin = manifold.origin(dtype=torch.float64)
    other = manifold.exp(origin, case.apart * manifold.frame(origin)[0])
    laws = [rm.WrappedNormal(manifold, centre, case.width) for centre in (origin, other)]
    return torch.cat([law.sample((1000,), generator=generator) for law in laws])


@pytest.fixture(scope="module", params=MEMBERS, ids=repr)
def model(request: pytest.FixtureRequest) -> rm.FlowPath:
    """A small network, trained in float32 until it has found the clusters, then taken to float64."""
    manifold = request.param
    x = two_clusters(manifold)
    base = rm.default_base(manifold, x)
    field = rm.TangentMLP(manifold, width=32, depth=2, frequencies=())
    rm.fit(field, rm.FlowMatching(rm.GeodesicPath(manifold), base=base), x, steps=300, batch_size=128, lr=5e-3, seed=0)
    return rm.FlowPath(field.double(), base=base, solver=PRECISE)


def test_training_found_the_data(model: rm.FlowPath) -> None:
    """Better than the base, which is as wide as both clusters together; on SPD(2) these overlap."""
    x = two_clusters(model.manifold)[::20]
    with torch.no_grad():
        gain = float(model.log_prob(1.0, x).mean() - model.base.log_prob(x).mean())
    assert gain > 0.01


def test_the_density_of_a_trained_flow_has_mass_one(model: rm.FlowPath) -> None:
    density = rm.FlowPath(model.field, base=model.base, solver=rm.DormandPrince()).at(1.0)
    with torch.no_grad():
        mass = model.manifold.integrate(lambda x: density.log_prob(x).exp(), degree=MEMBERS[model.manifold].degree)
    assert float(mass) == pytest.approx(1.0, abs=1e-4)


def test_log_density_forward_then_backward_agrees(model: rm.FlowPath) -> None:
    x0 = model.base.sample((50,), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        there = model.solve(x0, 0.0, 1.0, divergence="exact")
        back = model.log_prob(1.0, there.point)
    assert there.log_density_change is not None
    torch.testing.assert_close(back, model.base.log_prob(x0) + there.log_density_change, rtol=0, atol=1e-6)
    assert there.constraint_violation < 1e-14 * (1 + math.exp(5.0))  # coordinates of the hyperboloid grow like exp(r)
