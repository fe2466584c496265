"""Flow matching: the loss of the definition, and averaged targets that leave the minimiser where it is."""

import pytest
import torch
from torch import Tensor

import rmatch as rm
from rmatch.distributions import Uniform
from rmatch.manifolds import Manifold, Sphere, Torus
from rmatch.objectives import FlowMatching
from rmatch.paths import GeodesicPath, OptimalTransport


def data(manifold: Manifold, n: int) -> Tensor:
    """A cluster about one point."""
    centre = manifold.origin(dtype=torch.float64).expand(n, *manifold.point_shape)
    return manifold.exp(centre, 0.3 * manifold.random_tangent(centre, generator=torch.Generator().manual_seed(1000)))


def still(t: Tensor, x: Tensor) -> Tensor:
    return torch.zeros_like(x)


def drift(t: Tensor, x: Tensor) -> Tensor:
    return torch.stack([-x[..., 1], x[..., 0], *[torch.zeros_like(x[..., 0])] * (x.shape[-1] - 2)], -1)


@pytest.mark.parametrize("manifold", [Sphere(2), Torus(2)], ids=repr)
def test_the_loss_of_the_zero_field_is_the_mean_squared_distance(manifold: Manifold) -> None:
    """E |u_t|² = E dist(x0, x1)² for geodesics of constant speed; for x0 uniform it does not depend on x1."""
    n = 20_000
    loss = FlowMatching(GeodesicPath(manifold), Uniform(manifold), rao_blackwell=False)
    value = float(loss(still, data(manifold, n), generator=torch.Generator().manual_seed(2)))
    if isinstance(manifold, Sphere):
        expected, spread = torch.pi**2 / 2 - 2, 2.8  # ∫ θ² sin θ dθ / 2
    else:
        expected, spread = 2 * torch.pi**2 / 3, 4.2  # two angles, each uniform on [-π, π]
    assert value == pytest.approx(expected, abs=4 * spread / n**0.5)


@pytest.mark.parametrize("manifold", [Sphere(2), Torus(2)], ids=repr)
def test_averaged_targets_change_the_loss_by_a_constant_only(manifold: Manifold) -> None:
    """E|W - u|² - E|W - E[u|x]|² is the same for every W: two fields, same draws, 5 standard errors."""
    x1 = data(manifold, 512)
    gaps: list[float] = []
    drop: list[float] = []
    for seed in range(60):
        losses = {
            (averaged, field): float(
                FlowMatching(GeodesicPath(manifold), Uniform(manifold), rao_blackwell=averaged)(
                    field, x1, generator=torch.Generator().manual_seed(seed)
                )
            )
            for averaged in (False, True)
            for field in (still, drift)
        }
        gaps.append(losses[False, still] - losses[True, still] - losses[False, drift] + losses[True, drift])
        drop.append(losses[False, still] - losses[True, still])
    gap = torch.tensor(gaps, dtype=torch.float64)
    assert abs(float(gap.mean())) < 5 * float(gap.std()) / len(gaps) ** 0.5
    assert min(drop) > 0


def test_averaging_is_on_where_it_pays() -> None:
    def chosen(manifold: Manifold, **options: object) -> bool:
        return FlowMatching(GeodesicPath(manifold), Uniform(manifold), **options).rao_blackwell  # type: ignore[arg-type]

    for manifold in (Sphere(2), Torus(2), rm.SpecialOrthogonal(3), rm.Product(Sphere(2), Torus(1))):
        assert chosen(manifold)
    for manifold in (rm.Euclidean(2), rm.Lorentz(2), rm.PoincareBall(3), rm.SPD(2, metric="log-euclidean")):
        assert FlowMatching(GeodesicPath(manifold), rm.default_base(manifold)).rao_blackwell
    for manifold in (rm.Euclidean(4), rm.SPD(2), rm.Product(Sphere(2), Torus(2)), rm.Product(Torus(1), rm.Lorentz(2))):
        assert not FlowMatching(GeodesicPath(manifold), rm.default_base(manifold)).rao_blackwell
    assert not chosen(Torus(7))
    assert not chosen(Sphere(2), coupling=OptimalTransport(Sphere(2)))
    assert not chosen(Sphere(2), rao_blackwell=False)


def test_averaging_needs_the_independent_coupling() -> None:
    with pytest.raises(rm.OptionError, match="independent coupling"):
        FlowMatching(
            GeodesicPath(Sphere(2)), Uniform(Sphere(2)), coupling=OptimalTransport(Sphere(2)), rao_blackwell=True
        )


def test_manifolds_must_agree() -> None:
    with pytest.raises(rm.OptionError, match=r"Sphere\(2\).*Sphere\(3\)"):
        FlowMatching(GeodesicPath(Sphere(2)), Uniform(Sphere(3)))


@pytest.mark.parametrize("late", [-0.1, 1.1, float("nan")])
def test_late_is_a_fraction(late: float) -> None:
    with pytest.raises(rm.OptionError, match="fraction"):
        FlowMatching(GeodesicPath(Sphere(2)), Uniform(Sphere(2)), late=late)


def test_the_loss_follows_its_generator_and_leaves_the_global_state_alone() -> None:
    loss, x1 = FlowMatching(GeodesicPath(Sphere(2)), Uniform(Sphere(2))), data(Sphere(2), 16)
    before = torch.random.get_rng_state()
    first, second, other = (loss(still, x1, generator=torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first == second
    assert first != other


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("manifold", [Sphere(2), Torus(2), Torus(7)], ids=repr)
def test_gradients_reach_every_weight(manifold: Manifold, dtype: torch.dtype) -> None:
    field = rm.TangentMLP(manifold, width=8, depth=1).to(dtype)
    torch.nn.init.normal_(field.last.weight, generator=torch.Generator().manual_seed(0))
    loss = FlowMatching(GeodesicPath(manifold), Uniform(manifold))(
        field, data(manifold, 700).to(dtype), generator=torch.Generator().manual_seed(0)
    )
    loss.backward()
    assert loss.dtype == dtype
    for name, weight in field.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.grad.abs().max() > 0, name
