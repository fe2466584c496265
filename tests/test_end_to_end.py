"""A trained flow is a density: its mass is one, and its likelihood is the same there and back."""

import pytest
import torch
from torch import Tensor

import rmatch as rm

PRECISE = rm.DormandPrince(rtol=1e-7, atol=1e-7)
MEMBERS = [rm.Sphere(2), rm.Torus(2)]


def two_clusters(manifold: rm.Manifold) -> Tensor:
    """Half the points about the origin, half about a point 2 away from it."""
    generator = torch.Generator().manual_seed(0)
    origin = manifold.origin(dtype=torch.float64)
    other = manifold.exp(origin, 2.0 * manifold.frame(origin)[0])
    halves = [rm.WrappedNormal(manifold, c, 0.4).sample((1000,), generator=generator) for c in (origin, other)]
    return torch.cat(halves)


@pytest.fixture(scope="module", params=MEMBERS, ids=repr)
def model(request: pytest.FixtureRequest) -> rm.FlowPath:
    """A small network, trained in float32 until it has found the clusters, then taken to float64."""
    manifold = request.param
    base = rm.Uniform(manifold)
    field = rm.TangentMLP(manifold, width=48, depth=2, frequencies=())
    objective = rm.FlowMatching(rm.GeodesicPath(manifold), base=base)
    rm.fit(field, objective, two_clusters(manifold), steps=400, batch_size=256, lr=4e-3, seed=0)
    return rm.FlowPath(field.double(), base=base, solver=PRECISE)


def test_training_found_the_data(model: rm.FlowPath) -> None:
    """Better than the uniform density by more than half a nat, which two tight clusters allow."""
    x = two_clusters(model.manifold)[::20]
    with torch.no_grad():
        nll = -float(model.log_prob(1.0, x).mean())
    assert nll < -float(model.base.log_prob(x[0])) - 0.5


def test_the_density_of_a_trained_flow_has_mass_one(model: rm.FlowPath) -> None:
    with torch.no_grad():
        mass = model.manifold.integrate(lambda x: model.log_prob(1.0, x).exp(), degree=60)
    assert float(mass) == pytest.approx(1.0, abs=1e-5)


def test_log_density_forward_then_backward_agrees(model: rm.FlowPath) -> None:
    x0 = model.base.sample((50,), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        there = model.solve(x0, 0.0, 1.0, divergence="exact")
        back = model.log_prob(1.0, there.point)
    assert there.log_density_change is not None
    torch.testing.assert_close(back, model.base.log_prob(x0) + there.log_density_change, rtol=0, atol=1e-6)
    assert there.constraint_violation < 1e-14
