"""Fields whose flow, and whose log-density, is known in closed form."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rmatch.manifolds import Euclidean, Manifold, Sphere, Torus

AXIS = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
SPEED = 2.0
DRIFT = torch.tensor([1.5, -4.0], dtype=torch.float64)


@dataclass(frozen=True)
class Flow:
    """A field with the point it carries `x` to from t0 to t1, and the log-density that it adds on the way."""

    manifold: Manifold
    field: Callable[[Tensor, Tensor], Tensor]
    carry: Callable[[Tensor, float, float], Tensor]
    log_density: Callable[[Tensor, float, float], Tensor]


def _rotate(x: Tensor, t0: float, t1: float) -> Tensor:
    """Rodrigues' formula."""
    a, angle = AXIS.to(x.dtype).expand_as(x), SPEED * (t1 - t0)
    along = (a * x).sum(-1, keepdim=True) * a
    return along + math.cos(angle) * (x - along) + math.sin(angle) * torch.linalg.cross(a, x)


def _zero(x: Tensor, t0: float, t1: float) -> Tensor:
    return x.new_zeros(x.shape[:-1])


rotation = Flow(
    Sphere(2),
    lambda t, x: SPEED * torch.linalg.cross(AXIS.to(x.dtype).expand_as(x), x),
    _rotate,
    _zero,
)


def _height(x: Tensor) -> Tensor:
    return (x * AXIS.to(x.dtype)).sum(-1, keepdim=True)


def _climb(x: Tensor, t0: float, t1: float) -> Tensor:
    """x' = 2t (a - <a, x> x): the height h = <a, x> has h' = 2t (1 - h²), so artanh h grows by t²; no turning."""
    a, h = AXIS.to(x.dtype), _height(x)
    new = torch.tanh(torch.atanh(h) + t1**2 - t0**2)
    return new * a + ((1 - new**2) / (1 - h**2)).sqrt() * (x - h * a)


def _climb_log_density(x: Tensor, t0: float, t1: float) -> Tensor:
    """The divergence is -4t h, so ∫ -Div dt = 2 ∫ h d(t²) = 2 log(cosh(u + t1² - t0²) / cosh u), u = artanh h."""
    u = torch.atanh(_height(x)).squeeze(-1)
    return 2 * (torch.cosh(u + t1**2 - t0**2).log() - torch.cosh(u).log())


climb = Flow(Sphere(2), lambda t, x: 2 * t * (AXIS.to(x.dtype) - _height(x) * x), _climb, _climb_log_density)

drift = Flow(
    Torus(2),
    lambda t, x: DRIFT.to(x.dtype).expand_as(x),
    lambda x, t0, t1: torch.remainder(x + (t1 - t0) * DRIFT.to(x.dtype), 2 * torch.pi),
    _zero,
)


def _swing(x: Tensor, t0: float, t1: float) -> Tensor:
    """x' = cos(3t) sin x: tan(x/2) grows by exp((sin 3t1 - sin 3t0)/3)."""
    growth = math.exp((math.sin(3 * t1) - math.sin(3 * t0)) / 3)
    return torch.remainder(2 * torch.atan2(growth * (x / 2).sin(), (x / 2).cos()), 2 * torch.pi)


def _swing_log_density(x: Tensor, t0: float, t1: float) -> Tensor:
    """-log of the derivative of the map x -> y, which is sin y / sin x for each angle."""
    return -(_swing(x, t0, t1).sin() / x.sin()).log().sum(-1)


swing = Flow(Torus(2), lambda t, x: (3 * t).cos() * x.sin(), _swing, _swing_log_density)

growth = Flow(
    Euclidean(3),
    lambda t, x: 2 * t * x,
    lambda x, t0, t1: x * math.exp(t1**2 - t0**2),
    lambda x, t0, t1: torch.full(x.shape[:-1], -3 * (t1**2 - t0**2), dtype=x.dtype),
)

FLOWS = {"rotation": rotation, "climb": climb, "drift": drift, "swing": swing, "growth": growth}


def points(manifold: Manifold, batch: tuple[int, ...] = (20,), dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(*batch, *manifold.point_shape, generator=generator, dtype=torch.float64)
    return manifold.project(2 * x if isinstance(manifold, Torus) else x).to(dtype)
