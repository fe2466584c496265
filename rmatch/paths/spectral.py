"""Spectral distances: how far two points are apart in the eigenfunctions of the Laplacian."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from rmatch._errors import OptionError
from rmatch._numerics import sqrt
from rmatch.distributions.base import require_shape
from rmatch.manifolds import Manifold, Sphere, Torus
from rmatch.paths._spectral_sphere import (
    CircleBiharmonic,
    GlobeBiharmonic,
    SphereHeat,
    ThreeSphereBiharmonic,
    Zonal,
    ZonalSeries,
    eigenvalue,
)
from rmatch.paths._spectral_square import Square
from rmatch.paths._spectral_torus import CircleBiharmonic as CircleTorusBiharmonic
from rmatch.paths._spectral_torus import LatticeSeries, TorusBiharmonic, TorusHeat
from rmatch.paths.premetric import Premetric

__all__ = ["BiharmonicDistance", "DiffusionDistance", "SpectralDistance"]

_LARGEST_LATTICE = 1_000_000
_TINY = 1e-150  # the least distance whose square is a number


class _Spectral(Premetric):
    """A spectral distance as the root of its square, in float64 whatever the points are in."""

    square: Square

    @property
    def largest(self) -> float:
        """The distance of the farthest point."""
        return math.sqrt(self.square.largest)

    @property
    def reach(self) -> float:
        """Half a great circle, on a sphere or a circle."""
        return self.square.reach

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """The distance, `(*batch)`."""
        return sqrt(self.square.value(*self._in_float64(x, y))).to(x.dtype)

    def gradient(self, x: Tensor, y: Tensor) -> Tensor:
        """Its gradient in `x`; 0 where the points agree or are farthest apart."""
        return self.dist_and_gradient(x, y)[1]

    def dist_and_gradient(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Both from one evaluation."""
        square, gradient = self.square.value_and_gradient(*self._in_float64(x, y))
        dist = sqrt(square)
        apart = (dist > 0).to(dist)
        factor = apart / (2 * (dist + (1 - apart)))
        return dist.to(x.dtype), (factor.unsqueeze(-1) * gradient).to(x.dtype)

    def profile(self, r: Tensor) -> tuple[Tensor, Tensor] | None:
        """The distance as a function of the geodesic distance, on spheres and circles; at r = 0 the limits."""
        found = self.square.profile(r.double().clamp_min(_TINY))
        if found is None:
            return None
        dist = found[0].sqrt()
        return dist.to(r.dtype), (found[1] / (2 * dist)).to(r.dtype)

    def _in_float64(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        require_shape(self.manifold, x)
        require_shape(self.manifold, y)
        if x.dtype == y.dtype == torch.float64:
            return x, y
        return self.manifold.project(x.double()), self.manifold.project(y.double())

    @abstractmethod
    def __repr__(self) -> str:
        """The constructor call."""


class SpectralDistance(_Spectral):
    """The distance `d(x, y)² = Σ_i w(λ_i) (φ_i(x) - φ_i(y))²` with finitely many eigenfunctions φ_i of -Δ.

    Args:
        manifold: A sphere or a torus.
        weight: The weight w of positive eigenvalues λ, none negative: a function of tensors.
        degree: The highest degree of spherical harmonics; on a torus the highest frequency of each angle.

    Raises:
        OptionError: The degree is less than 1, the lattice is too large, a weight is negative or not finite, or no
            eigenfunctions are known on the manifold.

    References:
        Chen and Lipman, "Flow matching on general geometries", ICLR 2024, section 3. Patané, "STAR: Laplacian
        spectral kernels and distances for geometry processing and shape analysis", Computer Graphics Forum 35 (2016).

    Example:
        >>> import torch, rmatch as rm
        >>> M = rm.Sphere(2)
        >>> d = rm.SpectralDistance(M, lambda eigenvalue: 1 / eigenvalue, degree=1)  # of degree 1: the chord
        >>> north, east = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([1.0, 0.0, 0.0])
        >>> round(float(d.dist(north, east).square() * (4 * torch.pi / 3)), 6)
        1.0
    """

    def __init__(self, manifold: Manifold, weight: Callable[[Tensor], Tensor], *, degree: int = 20) -> None:
        if degree < 1:
            raise OptionError(f"a spectral distance takes eigenfunctions of degree 1 or more, got degree={degree}")
        self.manifold = manifold
        self.weight = weight
        self.degree = degree
        if isinstance(manifold, Sphere):
            n, radius = manifold.dim, manifold.radius
            eigenvalues = torch.tensor(
                [eigenvalue(n, k) / radius**2 for k in range(1, degree + 1)], dtype=torch.float64
            )
            self.square = ZonalSeries(manifold, radius**-n, _checked(weight, eigenvalues).tolist())
        elif isinstance(manifold, Torus):
            _require_small(manifold, (degree + 1) ** manifold.dim)
            self.square = LatticeSeries(manifold, [degree] * manifold.dim, lambda found: _checked(weight, found))
        else:
            raise _unknown(manifold)

    def __repr__(self) -> str:
        """The constructor call, with the name of the weight."""
        name = getattr(self.weight, "__name__", type(self.weight).__name__)
        return f"SpectralDistance({self.manifold!r}, {name}, degree={self.degree})"


class BiharmonicDistance(_Spectral):
    """The spectral distance with the weights λ⁻², summed over all eigenfunctions.

    It is close to the geodesic distance in the large, smooth but at x = y and at the farthest points, and knows no
    cut locus. All of it is exact: polynomials on S¹, S³ and T¹, the dilogarithm on S², Ewald sums on T² and T³. Next to
    x = y it is like r on S¹ and T¹, r √(-log r) in two dimensions and √r in three; in four it would be infinite.

    Args:
        manifold: A sphere or a torus of dimension up to 3.

    Raises:
        OptionError: No eigenfunctions are known on the manifold, or its dimension is 4 or more.

    References:
        Lipman, Rustamov and Funkhouser, "Biharmonic distance", ACM Transactions on Graphics 29 (2010).

    Example:
        >>> import torch, rmatch as rm
        >>> d = rm.BiharmonicDistance(rm.Torus(1))
        >>> d.dist(torch.tensor([0.0]), torch.tensor([1.0])) * (24 * torch.pi) ** 0.5  # 1 (2π - 1)
        tensor(5.2832)
    """

    def __init__(self, manifold: Manifold) -> None:
        self.manifold = manifold
        if manifold.dim > 3 and isinstance(manifold, Sphere | Torus):
            raise OptionError(
                f"the biharmonic distance is infinite from dimension 4 on, and {manifold!r} has {manifold.dim}; use "
                "DiffusionDistance"
            )
        if isinstance(manifold, Sphere):
            kinds: list[type[Zonal]] = [CircleBiharmonic, GlobeBiharmonic, ThreeSphereBiharmonic]
            self.square = kinds[manifold.dim - 1](manifold, manifold.radius ** (4 - manifold.dim))
        elif isinstance(manifold, Torus) and manifold.dim == 1:
            self.square = CircleTorusBiharmonic(manifold)
        elif isinstance(manifold, Torus):
            self.square = TorusBiharmonic(manifold)
        else:
            raise _unknown(manifold)

    def __repr__(self) -> str:
        """The constructor call."""
        return f"BiharmonicDistance({self.manifold!r})"


class DiffusionDistance(_Spectral):
    """The spectral distance with the weights `e^{-2τλ}`, over all eigenfunctions: `|p_τ(x, ·) - p_τ(y, ·)|` in L².

    Here p_τ is the kernel of `e^{τΔ}`, with which `d² = 2 (p_{2τ}(x, x) - p_{2τ}(x, y))`. It is the chord for large τ,
    and for small τ it does not tell points apart that are much farther than √τ from each other: there its gradient is
    small, and paths leave fast.

    Args:
        manifold: A sphere or a torus, of any dimension.
        time: The time τ, in the units of `dist` squared.

    Raises:
        OptionError: The time is not a positive number, or no eigenfunctions are known on the manifold.

    References:
        Coifman and Lafon, "Diffusion maps", Applied and Computational Harmonic Analysis 21 (2006).

    Example:
        >>> import torch, rmatch as rm
        >>> d = rm.DiffusionDistance(rm.Sphere(2), time=0.25)
        >>> north, east = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([1.0, 0.0, 0.0])
        >>> d.dist(north, east)
        tensor(0.4877)
    """

    def __init__(self, manifold: Manifold, time: float) -> None:
        if not (time > 0 and math.isfinite(time)):
            raise OptionError(f"the time of a diffusion distance is a positive number, got {time}")
        self.manifold = manifold
        self.time = float(time)
        if isinstance(manifold, Sphere):
            self.square = SphereHeat(manifold, manifold.radius**-manifold.dim, time / manifold.radius**2)
        elif isinstance(manifold, Torus):
            self.square = TorusHeat(manifold, time)
        else:
            raise _unknown(manifold)

    def __repr__(self) -> str:
        """The constructor call."""
        return f"DiffusionDistance({self.manifold!r}, {self.time})"


def _unknown(manifold: Manifold) -> OptionError:
    return OptionError(f"no eigenfunctions are known on {manifold!r}; use a Sphere or a Torus, or a Premetric of yours")


def _require_small(manifold: Manifold, size: int) -> None:
    if size > _LARGEST_LATTICE:
        raise OptionError(
            f"{size} terms on {manifold!r} are more than {_LARGEST_LATTICE}; take a lower degree, or "
            "DiffusionDistance, which is a product over the angles"
        )


def _checked(weight: Callable[[Tensor], Tensor], eigenvalues: Tensor) -> Tensor:
    values = weight(eigenvalues)
    bad = ~((values >= 0) & values.isfinite())
    if bool(bad.any()):
        worst = int(bad.nonzero()[0])
        raise OptionError(
            f"the weights of a spectral distance are numbers from 0 on, got {float(values[worst])} at the eigenvalue "
            f"{float(eigenvalues[worst])}"
        )
    return values
