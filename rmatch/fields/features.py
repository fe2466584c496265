"""Feature maps: what a network sees of a point and of the time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rmatch.manifolds import Torus


class FourierFeatures(nn.Module):
    """Random Fourier features at several frequencies: `cos(ω·z), sin(ω·z)` with ω ~ N(0, f² I) for each frequency f.

    A plain network learns slowly what varies over short distances; features of frequency f let it vary over 1/f.

    Args:
        size: Number of entries of the input vectors z.
        frequencies: Standard deviations f of the random wave vectors, in inverse units of the input.
        count: Number of wave vectors per frequency; each gives a cosine and a sine.
        generator: Source of the wave vectors.

    References:
        Tancik et al., "Fourier features let networks learn high frequency functions", NeurIPS 2020, section 4.

    Example:
        >>> import torch
        >>> from rmatch.fields import FourierFeatures
        >>> FourierFeatures(3, (1.0, 4.0), count=8)(torch.zeros(5, 3)).shape
        torch.Size([5, 32])
    """

    waves: Tensor

    def __init__(
        self, size: int, frequencies: Sequence[float], *, count: int, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        normal = torch.randn(len(frequencies), count, size, generator=generator)
        waves = normal * torch.tensor(list(frequencies)).reshape(-1, 1, 1)
        self.register_buffer("waves", waves.reshape(-1, size))
        self.size = 2 * len(frequencies) * count

    def forward(self, z: Tensor) -> Tensor:
        """Map `(*batch, size)` to `(*batch, 2 * len(frequencies) * count)`."""
        phase = z @ self.waves.mT
        return torch.cat([phase.cos(), phase.sin()], -1)


class Harmonics(nn.Module):
    """Cosine and sine of the multiples 1 ... count of every angle: the smooth functions of single angles on a torus.

    Args:
        angles: How many angles there are.
        count: Highest multiple.
        periods: Length of a turn, one for all or one for each; 2π by default.

    Example:
        >>> import torch
        >>> from rmatch.fields import Harmonics
        >>> Harmonics(2, count=4)(torch.zeros(5, 2)).shape
        torch.Size([5, 16])
    """

    def __init__(self, angles: int, *, count: int, periods: float | Sequence[float] | None = None) -> None:
        super().__init__()
        self.torus = Torus(angles, periods)
        self.count = count
        self.size = 2 * angles * count

    def forward(self, x: Tensor) -> Tensor:
        """Map angles `(*batch, d)` to `(*batch, 2 d count)`."""
        k = torch.arange(1, self.count + 1, dtype=x.dtype, device=x.device)
        phase = (k.unsqueeze(-1) * self.torus.to_angles(x).unsqueeze(-2)).flatten(-2)
        return torch.cat([phase.cos(), phase.sin()], -1)


class TimeFeatures(nn.Module):
    """The time itself and `cos(πkt), sin(πkt)` for k = 1 ... count."""

    def __init__(self, count: int = 4) -> None:
        super().__init__()
        self.count = count
        self.size = 1 + 2 * count

    def forward(self, t: Tensor) -> Tensor:
        """Map `(*batch)` to `(*batch, 1 + 2 count)`."""
        k = torch.arange(1, self.count + 1, dtype=t.dtype, device=t.device)
        phase = math.pi * k * t.unsqueeze(-1)
        return torch.cat([t.unsqueeze(-1), phase.cos(), phase.sin()], -1)
