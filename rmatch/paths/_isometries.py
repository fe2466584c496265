"""Isometries along a geodesic: the rigid motion that carries a law which depends on the distance to a moving centre."""

from __future__ import annotations

from functools import singledispatch

import torch
from torch import Tensor

from rmatch._errors import OptionError
from rmatch._numerics import dot
from rmatch.manifolds import (
    FlatManifold,
    Lorentz,
    Manifold,
    PoincareBall,
    Product,
    SpecialOrthogonal,
    Sphere,
    poincare_to_lorentz,
)


@singledispatch
def rigid_motion(manifold: Manifold, centre: Tensor, velocity: Tensor, x: Tensor) -> Tensor:
    """The Killing field of the translation along the geodesic that leaves `centre` with this velocity, at `x`.

    At the centre it is the velocity itself. If p depends on the distance to the centre alone, this field carries it
    along: `∂p/∂t = -<ξ, ∇p>`, and its divergence is 0.

    Raises:
        OptionError: No such field is known on the manifold.
    """
    raise OptionError(
        f"no isometries along geodesics are known on {manifold!r}; use a sphere, a torus or another space form"
    )


@rigid_motion.register
def _(manifold: FlatManifold, centre: Tensor, velocity: Tensor, x: Tensor) -> Tensor:
    return velocity.expand(torch.broadcast_shapes(centre.shape, velocity.shape, x.shape))


@rigid_motion.register
def _(manifold: Sphere, centre: Tensor, velocity: Tensor, x: Tensor) -> Tensor:
    """A rotation in the plane of the centre and its velocity."""
    return (dot(centre, x) * velocity - dot(velocity, x) * centre) / manifold.radius**2


@rigid_motion.register
def _(manifold: SpecialOrthogonal, centre: Tensor, velocity: Tensor, x: Tensor) -> Tensor:
    """Left multiplication by `exp(s v mᵀ)`, which takes the centre m to `m exp(s mᵀv)`."""
    return velocity @ centre.transpose(-1, -2) @ x


@rigid_motion.register
def _(manifold: Lorentz, centre: Tensor, velocity: Tensor, x: Tensor) -> Tensor:
    """A boost in the plane of the centre and its velocity."""
    covector = manifold.coordinate_covector(x)
    return (dot(velocity, covector) * centre - dot(centre, covector) * velocity) / manifold.radius**2


@rigid_motion.register
def _(manifold: PoincareBall, centre: Tensor, velocity: Tensor, x: Tensor) -> Tensor:
    """That of the hyperboloid, there and back: the velocity and then the motion are pushed along `poincare_to_lorentz`.

    In units of R, with g = 1 - |x|², that map takes v to `(4 <x, v>/g², 2v/g + 4 <x, v> x/g²)`; its inverse takes a
    motion (m_0, ms) at (x_0, xs) to `(ms - m_0 y)/(1 + x_0)`, y the image.
    """
    p, v = centre / manifold.radius, velocity / manifold.radius
    there = poincare_to_lorentz(p)
    gap = 2 / (1 + there[..., :1])  # 1 - |p|², exact next to the boundary too
    along = 4 * dot(p, v) / gap.square()
    pushed = torch.cat([along, 2 * v / gap + along * p], -1)
    point = poincare_to_lorentz(x / manifold.radius)
    moved = rigid_motion(Lorentz(manifold.dim), there, pushed, point)
    return (manifold.radius * moved[..., 1:] - moved[..., :1] * x) / (1 + point[..., :1])


@rigid_motion.register
def _(manifold: Product, centre: Tensor, velocity: Tensor, x: Tensor) -> Tensor:
    arrays = zip(manifold.split(centre), manifold.split(velocity), manifold.split(x), strict=True)
    return manifold.join([rigid_motion(f, m, v, y) for f, (m, v, y) in zip(manifold.factors, arrays, strict=True)])
