"""The pairing of flows: conformal flows of the sphere, whose KL is known in closed form, and trained networks."""

import math

import pytest
import torch
from torch import Tensor

import rmatch as rm

SPHERE = rm.Sphere(2)
RAPIDITY = 0.9  # how far the conformal flows go by t = 1
ANGLE = 0.7  # between their poles
POLE = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
TURNED = torch.tensor([math.sin(ANGLE), 0.0, math.cos(ANGLE)], dtype=torch.float64)


def conformal(pole: Tensor) -> rm.FlowPath:
    """The flow of `s ∇<pole, x>` from the uniform law: a Lorentz boost of the celestial sphere."""
    solver = rm.DormandPrince(rtol=1e-9, atol=1e-9)
    field = lambda t, x: RAPIDITY * SPHERE.to_tangent(x, pole.expand_as(x))  # noqa: E731
    return rm.FlowPath(field, base=rm.Uniform(SPHERE), solver=solver)


def conformal_kl(rapidity: float, angle: float) -> float:
    """KL of a boosted uniform law from its rotation by an angle: `2 (d coth d - 1)`.

    With u = (cosh s, sinh s m) and n = (1, x), the density is `1 / (4π <u, n>²)` in Minkowski's product, so KL is
    twice a mean of `log <u', n> - log <u, n>`; boosted back it is that of `log <w, n>` under the uniform law, with w at
    the hyperbolic distance d of u and u' from the origin, and `½ ∫ log(cosh d - z sinh d) dz = d coth d - 1`.
    """
    d = math.acosh(math.cosh(rapidity) ** 2 - math.sinh(rapidity) ** 2 * math.cos(angle))
    return 2 * (d / math.tanh(d) - 1)


def test_a_flow_and_its_rotation_against_the_closed_form() -> None:
    r = rm.pairing(conformal(POLE), conformal(TURNED), degree=32, times=11)
    wanted = conformal_kl(RAPIDITY, ANGLE)
    assert wanted > 0.1
    assert r.kl == pytest.approx(wanted, abs=1e-8)
    assert r.kl_identity == pytest.approx(wanted, abs=1e-8)
    over_time = torch.tensor([conformal_kl(RAPIDITY * t, ANGLE) for t in r.t[1:].tolist()], dtype=torch.float64)
    torch.testing.assert_close(r.over_time.kl[1:], over_time, rtol=0, atol=1e-8)
    # a rotation keeps the entropy, and the one flow is the rotation of the other
    assert r.entropy_rate_p == pytest.approx(r.entropy_rate_q, abs=1e-8)
    assert r.kl <= r.bound


def trained(
    base: rm.Uniform, x1: Tensor, *, width: int, steps: int, seed: int, tolerance: float, **features: object
) -> rm.FlowPath:
    """A small network after a short training by flow matching, in float64."""
    M = base.manifold
    field = rm.TangentMLP(M, width=width, depth=1, seed=seed, **features).double()  # pyright: ignore[reportArgumentType]
    rm.fit(field, rm.FlowMatching(rm.GeodesicPath(M), base=base), x1, steps=steps, batch_size=128, lr=1e-2, seed=seed)
    return rm.FlowPath(field, base=base, solver=rm.DormandPrince(tolerance, tolerance))


@pytest.mark.slow
def test_two_trained_flows_on_the_sphere_agree_within_the_stated_error() -> None:
    base, generator = rm.Uniform(SPHERE), torch.Generator().manual_seed(0)
    flows = [
        trained(
            base,
            rm.VonMisesFisher(SPHERE, pole, 3.0).sample((512,), generator=generator),
            width=16,
            steps=150,
            seed=seed,
            tolerance=1e-6,
            frequencies=(1.0,),
            feature_count=8,
        )
        for seed, pole in enumerate((POLE, TURNED))
    ]
    r = rm.pairing(*flows, degree=30, times=17)
    assert r.kl > 0.1  # they learned different laws
    assert abs(r.kl - r.kl_identity) <= r.errors.kl + r.errors.kl_identity
    assert r.errors.kl + r.errors.kl_identity < 1e-2 * r.kl
    assert r.kl <= r.bound + r.errors.bound


@pytest.mark.slow
def test_two_trained_flows_on_a_torus_of_seven_angles_agree_within_the_standard_error() -> None:
    M, count = rm.Torus(7), 5
    base, generator = rm.Uniform(M), torch.Generator().manual_seed(0)
    flows = [
        trained(
            base,
            rm.WrappedNormal(M, torch.full((7,), mean, dtype=torch.float64), 1.2).sample((1024,), generator=generator),
            width=24,
            steps=200,
            seed=seed,
            tolerance=1e-4,  # far below the standard error
            frequencies=(),
            harmonics=1,
        )
        for seed, mean in enumerate((1.0, 1.6))
    ]
    off: list[float] = []
    for seed in range(count):
        r = rm.pairing(*flows, times=5, samples=100, generator=torch.Generator().manual_seed(seed))
        assert r.kl > 0.3
        off.append((r.kl - r.kl_identity) / math.hypot(r.errors.kl, r.errors.kl_identity))
        assert r.kl <= r.bound + 4 * r.errors.bound
    # in standard errors: none is beyond four, and all together they are not so small that the errors are mere caution
    assert max(map(abs, off)) < 4
    assert 0.1 < math.sqrt(sum(z * z for z in off) / count) < 2
