"""Brownian motion from the data to noise: the path that score matching learns."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rmatch._errors import OptionError
from rmatch._typing import Shape
from rmatch.distributions import Distribution, HeatKernel, Uniform
from rmatch.fields import VectorField
from rmatch.fields.base import require_field_on
from rmatch.manifolds import Manifold, Product, SpecialOrthogonal, Sphere, Torus
from rmatch.paths.base import require_time
from rmatch.paths.flow import FlowPath
from rmatch.solvers import GeodesicRandomWalk, Solver

_UNIFORM_ENOUGH = 6.0  # λ σ²/2 at the start: what is left of the data is e^-6 of it, and KL from uniform about e^-12
_FLAT_LARGEST = 4.0


class NoisedSample(NamedTuple):
    """Noised points and the score of their conditional law there, both `(*batch, *point_shape)`."""

    x_t: Tensor
    score: Tensor


class Diffusion:
    """The law of x_t is that of a Brownian motion which left a data point σ(t)² ago, `p_t(x | x_1) = K(σ(t)², x_1, x)`.

    Time runs from noise to data, as for flows: σ falls from `largest` at t = 0 to `smallest` at t = 1 as
    `σ(t) = largest^{1-t} smallest^t`. With `s = σ²` the field that carries p_t is

        V_t = -½ s'(t) ∇ log p_t = log(largest/smallest) s(t) ∇ log p_t.

    Args:
        manifold: Where the data lie; a heat kernel must be known on it.
        smallest: The noise that is left on the data, in the units of `dist`.
        largest: The noise at t = 0; by default that which covers a compact manifold evenly, 2.4 on the unit sphere and
            3.5 on a circle of period 2π, and elsewhere 4. More only spends time where there is nothing to learn.
        base: The law at t = 0; by default uniform, and on spaces of infinite volume the heat kernel from the origin.

    Raises:
        OptionError: The noises are not `0 < smallest < largest`, or no heat kernel is known on the manifold.

    References:
        Song et al., "Score-based generative modeling through stochastic differential equations", ICLR 2021 (VE).
        De Bortoli et al., "Riemannian score-based generative modelling", NeurIPS 2022.

    Example:
        >>> import torch, rmatch as rm
        >>> diffusion = rm.Diffusion(rm.Sphere(2), smallest=0.1, largest=4.0)
        >>> diffusion.noise(torch.tensor([0.0, 0.5, 1.0]))
        tensor([4.0000, 0.6325, 0.1000])
    """

    def __init__(
        self,
        manifold: Manifold,
        *,
        smallest: float = 0.02,
        largest: float | None = None,
        base: Distribution | None = None,
    ) -> None:
        self.gap = _spectral_gap(manifold)
        if largest is None:
            largest = math.sqrt(2 * _UNIFORM_ENOUGH / self.gap) if self.gap > 0 else _FLAT_LARGEST
        if not 0.0 < smallest < largest < math.inf:
            raise OptionError(f"a diffusion needs 0 < smallest < largest, got smallest={smallest}, largest={largest}")
        origin = manifold.origin(dtype=torch.float64)
        at_origin = HeatKernel(manifold, origin, largest**2)  # and so an error where none is known
        self.manifold = manifold
        self.smallest, self.largest = smallest, largest
        self.base = base or (Uniform(manifold) if math.isfinite(manifold.volume) else at_origin)
        self.decay = math.log(largest / smallest)

    def noise(self, t: Tensor) -> Tensor:
        """The standard deviation σ(t), shape of `t`."""
        return self.largest * torch.exp(-self.decay * t)

    def score_size(self, t: Tensor) -> Tensor:
        """About how large the score of p_t is, `e^{-λ σ²/2} / σ`, shape of `t`.

        Little noise on a point gives a score of size 1/σ; much of it on a compact manifold leaves only the slowest mode
        of the heat equation, which decays at the rate λ/2 with the smallest eigenvalue λ > 0 of -Δ.
        """
        noise = self.noise(t)
        return torch.exp(-self.gap / 2 * noise.square()) / noise

    def sample(self, t: Tensor, x1: Tensor, *, generator: torch.Generator | None = None) -> NoisedSample:
        """Noised data points and the conditional score there.

        Args:
            t: Times in [0, 1], `(*batch)`.
            x1: Data points `(*batch, *point_shape)`.
            generator: Source of the noise.
        """
        require_time(t)
        kernel = HeatKernel(self.manifold, x1, self.noise(t.double()).square())
        x_t = kernel.sample(generator=generator)
        return NoisedSample(x_t, kernel.score(x_t))

    def flow(self, score: VectorField, solver: Solver | None = None) -> FlowPath:
        """The flow with the same laws as the diffusion (the probability-flow ODE): densities and samples."""
        return FlowPath(ProbabilityFlow(score, self), base=self.base, solver=solver)

    def sample_reverse(
        self, score: VectorField, shape: Shape = (), *, steps: int = 200, generator: torch.Generator | None = None
    ) -> Tensor:
        """Samples by the reverse-time equation `dX = -s'(t) ∇log p_t dt + √(-s'(t)) dB`, as a geodesic random walk.

        Args:
            score: The score `score(t, x)`.
            shape: Shape of the batch.
            steps: Steps of the walk.
            generator: Source of the base points and of the noise.
        """

        def drift(t: Tensor, x: Tensor) -> Tensor:
            return 2 * self.decay * self.noise(t).square() * score(t, x)

        def spread(before: float, after: float) -> float:
            a, b = (self.largest * math.exp(-self.decay * t) for t in (before, after))
            return math.sqrt((a - b) * (a + b))

        x0 = self.base.sample(shape, generator=generator)
        return GeodesicRandomWalk(steps).solve(self.manifold, drift, spread, x0, 0.0, 1.0, generator=generator)

    def __repr__(self) -> str:
        """The constructor call."""
        return f"Diffusion({self.manifold!r}, smallest={self.smallest:g}, largest={self.largest:g})"


class ScoreModel(nn.Module):
    """A network as a score, `score(t, x) = score_size(t) network(t, x)`, so that the network's outputs are of size 1.

    The flow multiplies the score by σ². With 1/σ alone the errors of the network would count most at the start, where
    there is nothing to learn: the score of p_t is then much smaller, and `Diffusion.score_size` knows by how much.

    Args:
        network: Tangent vectors `network(t, x)`.
        diffusion: Says how large the score is.

    Raises:
        OptionError: The network is on another manifold than the diffusion.
    """

    def __init__(self, network: nn.Module, diffusion: Diffusion) -> None:
        super().__init__()
        require_field_on(network, diffusion.manifold)
        self.network = network
        self.diffusion = diffusion
        self.manifold = diffusion.manifold

    def forward(self, t: Tensor | float, x: Tensor) -> Tensor:
        """The score at `x`: t is a scalar or `(*batch)`, x and the result `(*batch, *point_shape)`."""
        time = torch.as_tensor(t, dtype=x.dtype, device=x.device)
        return self.network(time, x) * _over_points(self.manifold, self.diffusion.score_size(time))


class ProbabilityFlow(nn.Module):
    """The field `V_t = log(largest/smallest) σ(t)² score(t, x)`, whose flow has the laws of a diffusion.

    Args:
        score: The score `score(t, x)`; a network is a part of this module.
        diffusion: Says σ.

    Raises:
        OptionError: The score is on another manifold than the diffusion.
    """

    def __init__(self, score: VectorField, diffusion: Diffusion) -> None:
        super().__init__()
        require_field_on(score, diffusion.manifold)
        self.score = score
        self.diffusion = diffusion
        self.manifold = diffusion.manifold

    def forward(self, t: Tensor | float, x: Tensor) -> Tensor:
        """The velocity at `x`: t is a scalar or `(*batch)`, x and the result `(*batch, *point_shape)`."""
        time = torch.as_tensor(t, dtype=x.dtype, device=x.device)
        rate = self.diffusion.decay * self.diffusion.noise(time).square()
        return _over_points(self.manifold, rate) * self.score(time, x)


def _over_points(manifold: Manifold, t: Tensor) -> Tensor:
    """Numbers `(*batch)` shaped so that they multiply points."""
    return t.reshape(t.shape + (1,) * len(manifold.point_shape)) if t.dim() else t


def _spectral_gap(manifold: Manifold) -> float:
    """The smallest eigenvalue above 0 of -Δ, or 0 where the manifold is not compact or it is not known."""
    if isinstance(manifold, Sphere):
        return manifold.dim / manifold.radius**2
    if isinstance(manifold, Torus):
        return 1.0 / max(manifold.radii) ** 2
    if isinstance(manifold, SpecialOrthogonal):
        return 2.0  # the even functions on a sphere S³ of radius 2: k (k + 2)/4 for k = 2
    if isinstance(manifold, Product):
        return min(map(_spectral_gap, manifold.factors))
    return 0.0
