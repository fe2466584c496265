"""The torus against numbers of 60 digits, on both sides of the seam, and at half a turn."""

import math

import mpmath as mp
import pytest
import torch
from torch import Tensor

from rmatch.manifolds import Torus

from . import reference as ref
from .cases import every_dtype

PERIOD = 2 * math.pi


def seam_pairs(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Pairs of angles (N, 1) in [0, 2π): spread out, near each other, and near each other across 0."""
    generator = torch.Generator().manual_seed(0)
    spread = PERIOD * torch.rand(300, generator=generator, dtype=torch.float64)
    sizes = 10.0 ** (-15 * torch.rand(300, generator=generator, dtype=torch.float64))
    sides = 10.0 ** (-15 * torch.rand(300, generator=generator, dtype=torch.float64))
    x = torch.cat([spread, spread, sizes, PERIOD - sizes, sizes])
    y = torch.cat([spread.flip(0), spread + sizes, PERIOD - sides, sides, sides])
    x, y = (Torus(1).project(a.to(dtype).unsqueeze(-1)) for a in (x, y))
    return x, y


@every_dtype
def test_log_and_dist_have_full_relative_precision_modulo_the_real_period(dtype: torch.dtype) -> None:
    bound = 1e-14 if dtype == torch.float64 else 1e-6
    M = Torus(1)
    x, y = seam_pairs(dtype)
    log, dist = M.log(x, y), M.dist(x, y)
    for row in range(len(x)):
        (wanted,) = ref.torus_log(ref.exact(x[row]), ref.exact(y[row]))
        if abs(abs(wanted) - mp.pi) < 1e-6:  # the side of the cut is a matter of rounding
            wanted = math.copysign(float(abs(wanted)), float(log[row]))
        assert abs(log[row].item() - wanted) <= bound * abs(wanted), (x[row], y[row])
        assert abs(dist[row].item() - abs(wanted)) <= bound * abs(wanted), (x[row], y[row])


@pytest.mark.parametrize("d", [2, 3, 7])
@every_dtype
def test_dist_and_its_gradient_in_more_dimensions(d: int, dtype: torch.dtype) -> None:
    bound = 1e-14 if dtype == torch.float64 else 1e-6
    M = Torus(d)
    for size in (1e-6, 1e-3, 0.5, 3.0):
        for seed in range(4):
            generator = torch.Generator().manual_seed(seed)
            x = M.project(10 * torch.randn(d, generator=generator, dtype=dtype))
            x[0] = 0.25 * size  # one coordinate straddles the seam
            y = M.project(x - size * torch.rand(d, generator=generator, dtype=dtype).clamp_min(0.3))
            log = ref.torus_log(ref.exact(x), ref.exact(y))
            length = ref.norm(log)
            for leaf in (x, y):
                leaf.requires_grad_()
            dist = M.dist(x, y)
            assert ref.error(dist, [length]) <= bound
            gradients = torch.autograd.grad(dist, (x, y))
            for gradient, sign in zip(gradients, (-1, 1), strict=True):
                assert ref.error(gradient, [sign * p / length for p in log]) <= bound


@every_dtype
def test_exp_lands_within_a_few_roundings_of_a_turn(dtype: torch.dtype) -> None:
    """x + v is rounded at the size of 2π, so an angle just past 0 has that absolute error, and no better."""
    M = Torus(1)
    eps = torch.finfo(dtype).eps
    x, y = seam_pairs(dtype)
    v = y - math.pi
    landed = M.exp(x, v)
    assert M.check_point(landed) is None
    for row in range(0, len(x), 5):
        wanted = ref.torus_wrap([ref.exact(x[row])[0] + ref.exact(v[row])[0]])
        gap = ref.torus_log(wanted, ref.exact(landed[row]))[0]
        assert abs(gap) <= 1.5 * PERIOD * eps


@every_dtype
def test_project_lands_in_the_half_open_turn_whatever_it_is_given(dtype: torch.dtype) -> None:
    info = torch.finfo(dtype)
    turn = torch.tensor(PERIOD, dtype=dtype)
    special = [-1e-20, -0.0, 0.0, 1e-20, -info.tiny, -info.eps, -info.eps / 4, PERIOD, -PERIOD, 2 * PERIOD, -7 * PERIOD]
    x = torch.cat(
        [
            torch.tensor(special, dtype=dtype),
            torch.stack([turn, torch.nextafter(turn, torch.zeros_like(turn)), torch.nextafter(turn, 9 * turn)]),
            1e6 * torch.randn(20_000, dtype=dtype),
            info.eps * torch.randn(20_000, dtype=dtype),
        ]
    ).unsqueeze(-1)
    for batch in (x, *x[:14].unbind()):  # a batch and single rows may take different branches
        wrapped = Torus(1).project(batch)
        assert float(wrapped.double().min()) >= 0.0
        assert float(wrapped.double().max()) < PERIOD
        assert Torus(1).check_point(wrapped) is None
        assert torch.equal(Torus(1).project(wrapped), wrapped)
    assert float(Torus(1).project(torch.tensor([-1e-20], dtype=dtype))) == 0.0


@every_dtype
def test_project_is_the_identity_inside_and_passes_the_gradient(dtype: torch.dtype) -> None:
    M = Torus(3)
    x = (PERIOD * torch.rand(50, 3, dtype=dtype)).clamp_max(6.28)
    assert torch.equal(M.project(x), x)
    x = torch.tensor([[-1e-20, 7.0, -3.0]], dtype=dtype, requires_grad=True)
    (gradient,) = torch.autograd.grad(M.project(x).sum(), x)
    assert torch.equal(gradient, torch.ones_like(gradient))


@every_dtype
def test_half_a_turn_is_pi_long_and_the_same_every_time(dtype: torch.dtype) -> None:
    M = Torus(3)
    eps = torch.finfo(dtype).eps
    x = M.project(10 * torch.randn(500, 3, dtype=dtype))
    y = M.project(x + math.pi)
    v = M.log(x, y)
    assert float((v.abs().double() - math.pi).abs().max()) <= 4 * PERIOD * eps
    assert torch.equal(v, M.log(x, y))
    assert torch.equal(v[3], M.log(x[3], y[3]))
    assert float((M.dist(x, y).double() - math.pi * math.sqrt(3)).abs().max()) <= 8 * PERIOD * eps
    there, back = torch.zeros(1, dtype=dtype), torch.full((1,), math.pi, dtype=dtype)
    assert float(M.log(there, back)) == float(back)
    assert float(M.log(back, there)) == -float(back)


def test_log_accepts_angles_outside_the_turn() -> None:
    x, y = torch.tensor([[-20.0, 0.1, 50.0]]).double(), torch.tensor([[30.0, -6.3, 50.5]]).double()
    for wanted, got in zip(ref.torus_log(ref.exact(x[0]), ref.exact(y[0])), Torus(3).log(x, y)[0], strict=True):
        assert abs(got.item() - wanted) <= 4e-15 * 10  # the rounding of 2π once per turn


def test_volume_is_that_of_a_cube_of_turns() -> None:
    assert math.isclose(Torus(3).volume, PERIOD**3, rel_tol=1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("period", [None, 24.0, 0.1])
def test_a_large_batch_is_wrapped_as_torch_wraps_it(period: float | None, dtype: torch.dtype) -> None:
    """Bit for bit, near 0 by a shorter way, with edges that it gets wrong, and far out."""
    M = Torus(1, periods=period)
    p = M.periods[0]
    inside = (torch.rand(10_000, 1, generator=torch.Generator().manual_seed(0), dtype=dtype) * 4 - 2) * p * 0.999
    edges = torch.tensor([-1e-20, -p, p * (1 - 1e-7), p], dtype=dtype)
    far = 1e4 * inside
    for x in (inside, torch.cat([inside, edges.unsqueeze(-1)]), far):
        found, wanted = M.project(x), torch.remainder(x, p)
        assert torch.equal(found, torch.where(wanted >= p, 0.0, wanted))
