"""The marginal velocity: closed forms against the general formula, and its defining property."""

import pytest
import torch

from rmatch.distributions import Distribution, Uniform
from rmatch.manifolds import Manifold, SpecialOrthogonal, Sphere, Torus
from rmatch.paths import Cosine, GeodesicPath, Linear, Schedule, posterior_velocity

LARGE_AND_SMALL = [
    Sphere(1),
    Sphere(2),
    Sphere(2, radius=30.0),
    Sphere(3),
    Torus(1),
    Torus(2),
    Torus(2, periods=(1.0, 24.0)),
    SpecialOrthogonal(3),
]


class Flat(Distribution):
    """The uniform law under a name that no closed form knows."""

    def __init__(self, manifold: Manifold) -> None:
        self.manifold = manifold
        self.uniform = Uniform(manifold)

    def sample(self, *args: object, **kwargs: object) -> torch.Tensor:
        raise AssertionError("not needed")

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        return self.uniform.log_prob(x)


@pytest.mark.parametrize("manifold", LARGE_AND_SMALL, ids=repr)
@pytest.mark.parametrize("schedule", [Linear(), Cosine()], ids=repr)
def test_closed_forms_agree_with_the_change_of_variables(manifold: Manifold, schedule: Schedule) -> None:
    generator = torch.Generator().manual_seed(6)
    x0, x1 = Uniform(manifold).sample((2, 40), generator=generator, dtype=torch.float64)
    t = torch.linspace(0.02, 0.97, 40, dtype=torch.float64)
    path = GeodesicPath(manifold, schedule)
    x_t = path.sample(t, x0, x1).x_t
    closed, closed_reached = posterior_velocity(path, t, x_t, x1, Uniform(manifold))
    general, general_reached = posterior_velocity(path, t, x_t, x1, Flat(manifold))
    assert closed_reached.all()
    assert general_reached.all()
    torch.testing.assert_close(closed, general, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("manifold", LARGE_AND_SMALL, ids=repr)
def test_one_candidate_gives_its_own_velocity(manifold: Manifold) -> None:
    generator = torch.Generator().manual_seed(6)
    x0, x1 = Uniform(manifold).sample((2, 1), generator=generator, dtype=torch.float64)
    t = torch.tensor([0.6], dtype=torch.float64)
    path = GeodesicPath(manifold)
    sample = path.sample(t, x0, x1)
    mean, _ = posterior_velocity(path, t, sample.x_t, x1, Uniform(manifold))
    torch.testing.assert_close(mean, sample.u_t, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("manifold", [Sphere(2), Torus(2), SpecialOrthogonal(3)], ids=repr)
@pytest.mark.parametrize("base", [Uniform, Flat])
def test_a_point_that_no_candidate_reaches_is_reported(manifold: Manifold, base: type[Distribution]) -> None:
    x1 = manifold.origin(dtype=torch.float64).unsqueeze(0)
    x = manifold.exp(x1, 3.0 * manifold.frame(x1)[:, 0])  # 3 away, but only 0.1 π is within reach at t = 0.9
    t = torch.tensor([0.9], dtype=torch.float64)
    mean, reached = posterior_velocity(GeodesicPath(manifold), t, x, x1, base(manifold))  # type: ignore[call-arg]
    assert not reached.any()
    assert mean.abs().max() == 0


@pytest.mark.parametrize("manifold", [Sphere(2), Torus(1)], ids=repr)
def test_the_posterior_mean_is_the_conditional_expectation(manifold: Manifold) -> None:
    """For every test function φ, E φ(x_t) u_t = E φ(x_t) E[u_t | x_t]: held to 5 standard errors at 100k samples."""
    generator = torch.Generator().manual_seed(8)
    candidates = Uniform(manifold).sample((3,), generator=generator, dtype=torch.float64)
    n = 100_000
    x1 = candidates[torch.randint(3, (n,), generator=generator)]
    x0 = Uniform(manifold).sample((n,), generator=generator, dtype=torch.float64)
    t = torch.full((n,), 0.4, dtype=torch.float64)
    path = GeodesicPath(manifold)
    x_t, u_t = path.sample(t, x0, x1)
    mean, _ = posterior_velocity(path, t, x_t, candidates, Uniform(manifold))
    for feature in manifold.features(x_t).unbind(-1):
        difference = (feature.unsqueeze(-1) * (u_t - mean)).sum(-1)
        assert abs(float(difference.mean())) < 5 * float(difference.std()) / n**0.5
