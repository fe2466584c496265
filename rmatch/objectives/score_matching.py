"""Score matching: denoising, implicit and sliced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from rmatch._errors import OptionError
from rmatch.fields import VectorField
from rmatch.fields.base import require_field_on
from rmatch.paths import Diffusion

Weighting = Callable[[Tensor], Tensor]

_PROBES = 1


class ScoreMatching:
    """The score-matching loss `∫ λ(t) E_{p_t} |S_t - ∇log p_t|²_g dt`, with p_t the noised data, up to a constant.

    The score of p_t is not known, but three losses have the same gradient:

    * `"denoising"`: `E |S_t(x_t) - ∇log K(σ², x_1, x_t)|²`, whose constant is the variance of the conditional score
      (Vincent, 2011);
    * `"implicit"`: `E |S_t|² + 2 Div S_t`, by integration by parts (Hyvärinen, 2005);
    * `"sliced"`: the same with the divergence estimated from one tangent probe (Song et al., 2019).

    Args:
        diffusion: How the data are noised.
        method: Which of the three.
        weighting: λ(t), shape of t; by default σ(t)², under which all times count alike, and which is that of the
            likelihood as `s' = -2 log(largest/smallest) σ²` (Song et al., 2021).

    Raises:
        OptionError: The method is unknown.

    References:
        Hyvärinen, "Estimation of non-normalized statistical models by score matching", JMLR 6 (2005), theorem 1.
        Vincent, "A connection between score matching and denoising autoencoders", Neural Computation 23 (2011).
        Song et al., "Sliced score matching", UAI 2019. De Bortoli et al., NeurIPS 2022, section 3.3 (on manifolds).

    Example:
        >>> import torch, rmatch as rm
        >>> M = rm.Sphere(2)
        >>> diffusion = rm.Diffusion(M)
        >>> score = rm.ScoreModel(rm.TangentMLP(M, width=8, depth=1), diffusion)
        >>> x1 = rm.Uniform(M).sample((8,), generator=torch.Generator().manual_seed(0))
        >>> bool(rm.ScoreMatching(diffusion)(score, x1, generator=torch.Generator().manual_seed(1)) > 0)
        True
    """

    def __init__(
        self,
        diffusion: Diffusion,
        method: Literal["denoising", "implicit", "sliced"] = "denoising",
        *,
        weighting: Weighting | None = None,
    ) -> None:
        if method not in ("denoising", "implicit", "sliced"):
            raise OptionError(f"unknown method {method!r}; use 'denoising', 'implicit' or 'sliced'")
        self.diffusion = diffusion
        self.method = method
        self.weighting = weighting

    def __call__(self, field: VectorField, x1: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The loss on a batch of data, a scalar.

        Args:
            field: The score to train, `score(t, x)`.
            x1: Data points `(B, *point_shape)`.
            generator: Source of the times, the noise and the probes.

        Raises:
            OptionError: The score is on another manifold than the diffusion.
        """
        diffusion, manifold = self.diffusion, self.diffusion.manifold
        require_field_on(field, manifold)
        t = self._times(len(x1), x1, generator)
        x_t, target = diffusion.sample(t, x1, generator=generator)
        if self.method == "denoising":
            error = field(t, x_t) - target
            losses = manifold.inner(x_t, error, error)
        else:
            method = "exact" if self.method == "implicit" else "hutchinson"
            evaluate = manifold.value_and_divergence(
                lambda x: field(t, x), method=method, probes=_PROBES, generator=generator
            )
            score, divergence = evaluate(x_t)
            losses = manifold.inner(x_t, score, score) + 2 * divergence
        weights = diffusion.noise(t).square() if self.weighting is None else self.weighting(t)
        return (weights * losses).mean()

    @staticmethod
    def _times(count: int, like: Tensor, generator: torch.Generator | None) -> Tensor:
        """Uniform times, one in each of `count` equal intervals: each is uniform, and their mean varies less."""
        u = torch.rand(count, generator=generator, dtype=like.dtype, device=like.device)
        return (torch.arange(count, dtype=like.dtype, device=like.device) + u) / max(count, 1)

    def __repr__(self) -> str:
        """The constructor call."""
        return f"ScoreMatching({self.diffusion!r}, method={self.method!r})"
