"""Laws on products: what is known of the factors, put together."""

import math

import pytest
import torch
from torch import Tensor

import rmatch as rm

F64 = torch.float64
COMPACT = rm.Product(rm.Sphere(2), rm.Torus(1))
MIXED = rm.Product(rm.Torus(1), rm.Lorentz(2))
MATRICES = rm.Product(rm.SPD(2), rm.SpecialOrthogonal(3))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def place(M: rm.Product, seed: int = 0) -> Tensor:
    """A point at a distance of about one from the origin."""
    origin = M.origin(dtype=F64)
    return M.exp(origin, 0.6 * M.random_tangent(origin, generator=generator(seed)))


# ------------------------------------------------------------------------------------------------- uniform


def test_the_uniform_law_of_a_product_is_that_of_its_factors() -> None:
    law = rm.Uniform(COMPACT)
    x = law.sample((4000,), generator=generator(), dtype=F64)
    assert COMPACT.check_point(x) is None
    assert float(law.log_prob(x[0])) == pytest.approx(-math.log(8 * math.pi**2))
    # the mean of each feature, and of each product across the factors, is 0 within 5 standard errors of at most 1
    features = COMPACT.features(x)
    products = features[:, :3, None] * features[:, None, 3:]
    for moment in (features.mean(0), products.mean(0)):
        assert float(moment.abs().max()) < 5 / math.sqrt(4000)


def test_without_a_uniform_law_on_every_factor_there_is_none() -> None:
    with pytest.raises(rm.OptionError, match="infinite volume"):
        rm.Uniform(MIXED)


# ------------------------------------------------------------------------------------------- wrapped normal


@pytest.mark.parametrize("M", [COMPACT, MIXED, MATRICES], ids=repr)
@pytest.mark.parametrize("scales", [0.5, (0.7, 0.3)], ids=str)
def test_the_wrapped_normal_density_is_the_product_of_the_factors(
    M: rm.Product, scales: float | tuple[float, float]
) -> None:
    mean = place(M)
    law = rm.WrappedNormal(M, mean, torch.tensor(scales, dtype=F64))
    x = law.sample((50,), generator=generator(1))
    assert M.check_point(x) is None
    each = scales if isinstance(scales, tuple) else (scales, scales)
    parts = zip(M.factors, M.split(mean), each, M.split(x), strict=True)
    wanted = torch.stack([rm.WrappedNormal(f, m, s).log_prob(part) for f, m, s, part in parts]).sum(0)
    torch.testing.assert_close(law.log_prob(x), wanted)


def test_each_factor_is_sampled_with_its_own_scale() -> None:
    """The mean squares of 20,000 · dim normal numbers have a relative standard error of at most 1 %."""
    M = rm.Product(rm.Lorentz(2), rm.Euclidean(3))
    mean = place(M)
    x = rm.WrappedNormal(M, mean, torch.tensor([0.2, 7.0])).sample((20_000,), generator=generator())
    for factor, centre, part, scale in zip(M.factors, M.split(mean), M.split(x), (0.2, 7.0), strict=True):
        square = float(factor.dist(centre, part).square().mean()) / factor.dim
        assert math.sqrt(square) == pytest.approx(scale, rel=0.02)


@pytest.mark.parametrize("M", [COMPACT, MIXED], ids=repr)
def test_the_wrapped_normal_law_has_mass_one(M: rm.Product) -> None:
    law = rm.WrappedNormal(M, place(M), torch.tensor([0.4, 0.5]))
    assert float(M.integrate(lambda x: law.log_prob(x).exp(), degree=40)) == pytest.approx(1.0, abs=1e-6)


def test_a_wrong_number_of_scales_is_refused() -> None:
    with pytest.raises(rm.ShapeError, match=r"has shape \(\) or \(2,\), got \(3,\)"):
        rm.WrappedNormal(COMPACT, COMPACT.origin(), torch.ones(3))


def test_a_compact_factor_without_known_geodesics_is_refused() -> None:
    unknown = rm.Product(_Unknown(), rm.Euclidean(1))
    with pytest.raises(rm.OptionError, match="needs the sum over all geodesics"):
        rm.WrappedNormal(unknown, unknown.origin(), 1.0)
    with pytest.raises(rm.OptionError, match="no kernel is known on _Unknown"):
        rm.KernelDensity(unknown, unknown.origin().unsqueeze(0), 1.0)


class _Unknown(rm.EmbeddedManifold):
    """S² under a name that no formula knows."""

    dim, point_shape, volume = 2, (3,), 4 * math.pi
    exp, log, origin, project = rm.Sphere(2).exp, rm.Sphere(2).log, rm.Sphere(2).origin, rm.Sphere(2).project  # type: ignore[assignment]
    to_tangent, transport = rm.Sphere(2).to_tangent, rm.Sphere(2).transport  # type: ignore[assignment]


# ---------------------------------------------------------------------------------------------- default base


def test_the_default_base_of_a_product_is_uniform_where_all_factors_are_compact() -> None:
    assert isinstance(rm.default_base(COMPACT), rm.Uniform)
    base = rm.default_base(MIXED)
    assert isinstance(base, rm.WrappedNormal)
    assert base.scale.tolist() == [1.0, 1.0]


def test_the_default_base_of_a_product_has_the_width_of_the_data_on_each_factor() -> None:
    M = rm.Product(rm.Euclidean(2), rm.Lorentz(2))
    parts = [10 * torch.randn(500, 2, generator=generator(), dtype=F64)]
    origin = rm.Lorentz(2).origin(dtype=F64)
    parts.append(rm.WrappedNormal(rm.Lorentz(2), origin, 0.3).sample((500,), generator=generator()))
    base = rm.default_base(M, M.join(parts))
    assert isinstance(base, rm.WrappedNormal)
    wanted = [float(rm.default_base(f, part).scale) for f, part in zip(M.factors, parts, strict=True)]  # type: ignore[attr-defined]
    assert base.scale.tolist() == pytest.approx(wanted)
    assert wanted == pytest.approx([10, 0.3], rel=0.1)
