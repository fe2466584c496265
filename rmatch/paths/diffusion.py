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
from rmatch.manifolds import Manifold
from rmatch.paths.flow import FlowPath
from rmatch.solvers import GeodesicRandomWalk, Solver

_UNIFORM_ENOUGH = 4.0  # on a unit sphere or circle e^{-λ σ²/2} is below 4e-4 for this σ


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
        largest: The noise at t = 0; by default 4 (times the radius), after which a compact manifold is covered evenly.
        base: The law at t = 0; by default uniform, and on spaces of infinite volume the heat kernel from the origin.

    Raises:
        OptionError: The noises are not `0 < smallest < largest`, or no heat kernel is known on the manifold.

    References:
        Song et al., "Score-based generative modeling through stochastic differential equations", ICLR 2021 (VE).
        De Bortoli et al., "Riemannian score-based generative modelling", NeurIPS 2022.

    Example:
        >>> import torch, rmatch as rm
        >>> diffusion = rm.Diffusion(rm.Sphere(2), smallest=0.1)
        >>> diffusion.noise(torch.tensor([0.0, 0.5, 1.0]))
        tensor([4.0000, 0.6325, 0.1000])
    """

    def __init__(
        self,
        manifold: Manifold,
        *,
        smallest: float = 0.02,
        largest: float = _UNIFORM_ENOUGH,
        base: Distribution | None = None,
    ) -> None:
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

    def sample(self, t: Tensor, x1: Tensor, *, generator: torch.Generator | None = None) -> NoisedSample:
        """Noised data points and the conditional score there.

        Args:
            t: Times in [0, 1], `(*batch)`.
            x1: Data points `(*batch, *point_shape)`.
            generator: Source of the noise.
        """
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
    """A network as a score: `score(t, x) = network(t, x) / σ(t)`, so that the network's outputs are of size 1.

    Args:
        network: Tangent vectors `network(t, x)`.
        diffusion: Says σ.
    """

    def __init__(self, network: nn.Module, diffusion: Diffusion) -> None:
        super().__init__()
        self.network = network
        self.diffusion = diffusion
        self.manifold = diffusion.manifold

    def forward(self, t: Tensor | float, x: Tensor) -> Tensor:
        """The score at `x`: t is a scalar or `(*batch)`, x and the result `(*batch, *point_shape)`."""
        time = torch.as_tensor(t, dtype=x.dtype, device=x.device)
        return self.network(time, x) / _over_points(self.manifold, self.diffusion.noise(time))


class ProbabilityFlow(nn.Module):
    """The field `V_t = log(largest/smallest) σ(t)² score(t, x)`, whose flow has the laws of a diffusion.

    Args:
        score: The score `score(t, x)`; a network is a part of this module.
        diffusion: Says σ.
    """

    def __init__(self, score: VectorField, diffusion: Diffusion) -> None:
        super().__init__()
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
