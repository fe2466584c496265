"""The default network: a residual perceptron whose output is tangent by construction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rmatch._errors import OptionError
from rmatch.fields._frequencies import choose_features
from rmatch.fields.features import FourierFeatures, Harmonics, TimeFeatures
from rmatch.manifolds import Manifold, Torus


class TangentMLP(nn.Module):
    """A vector field `field(t, x)` by a residual network whose outputs span the tangent space at `x`.

    The network sees the manifold's own smooth features of the point, random Fourier features of them at several
    frequencies, and features of the time; each hidden layer is `h + SiLU(A h + b)`. The last layer starts at zero, so
    an untrained field is the zero field and its flow leaves the base as it is. What comes out becomes a tangent vector
    by the manifold's `span`: a projection on the sphere, coefficients on a frame on hyperbolic spaces and SPD.

    Computation is in the dtype of the parameters (`field.double()` for float64); the result has the dtype of `x` and is
    tangent to that precision.

    Args:
        manifold: Where the field lives.
        width: Units in each hidden layer.
        depth: Number of residual layers.
        frequencies: Frequencies of the Fourier features, in inverse units of the manifold's features; empty for none.
            `for_data` chooses them from data.
        harmonics: On a torus, multiples of each angle whose cosine and sine are seen beside them; 0 for none.
        center: For each of the manifold's features, a number that is subtracted from it; empty for none.
        spread: For each of them, a number that it is then divided by; empty for none.
        speed: For each coefficient of `span`, the one that an output of 1 means; empty for 1.
        feature_count: Random waves per frequency.
        seed: Seed of the initial weights and waves. The global random state is neither used nor changed.

    Raises:
        OptionError: A size is less than 1, harmonics are asked for off the torus, or there are not as many numbers as
            features or coefficients.

    Example:
        >>> import torch, rmatch as rm
        >>> M = rm.Sphere(2)
        >>> field = rm.TangentMLP(M, width=32, depth=2)
        >>> x = M.project(torch.tensor([[1.0, 2.0, 2.0], [0.0, 3.0, 4.0]]))
        >>> field(torch.tensor(0.5), x).shape
        torch.Size([2, 3])
    """

    center: Tensor | None
    spread: Tensor | None
    speed: Tensor | None

    def __init__(
        self,
        manifold: Manifold,
        width: int = 256,
        depth: int = 4,
        *,
        frequencies: Sequence[float] = (1.0, 4.0),
        harmonics: int = 0,
        center: Sequence[float] = (),
        spread: Sequence[float] = (),
        speed: Sequence[float] = (),
        feature_count: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__()
        periods = manifold.periods if isinstance(manifold, Torus) else None
        if harmonics and periods is None:
            raise OptionError(f"harmonics are functions of angles: they need a torus, not {manifold!r}")
        for name, size in (("width", width), ("depth", depth), ("feature_count", feature_count)):
            if size < 1:
                raise OptionError(f"{name} of a network is at least 1, got {name}={size}")
        self.manifold = manifold
        self.config: dict[str, Any] = {
            "width": width,
            "depth": depth,
            "frequencies": [float(f) for f in frequencies],
            "harmonics": harmonics,
            "center": [float(c) for c in center],
            "spread": [float(s) for s in spread],
            "speed": [float(s) for s in speed],
            "feature_count": feature_count,
            "seed": seed,
        }
        plain = manifold.features(manifold.origin()).shape[-1]
        for name, size in (("center", plain), ("spread", plain), ("speed", manifold.span_size)):
            values: list[float] = self.config[name]
            if values and len(values) != size:
                raise OptionError(f"{name} of a network on {manifold!r} has {size} numbers or none, got {len(values)}")
            self.register_buffer(name, torch.tensor(values) if values else None, persistent=False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.space = FourierFeatures(plain, frequencies, count=feature_count) if len(frequencies) else None
            self.angles = Harmonics(manifold.dim, count=harmonics, periods=periods) if harmonics else None
            self.time = TimeFeatures()
            seen = plain + self.time.size + sum(m.size for m in (self.space, self.angles) if m is not None)
            self.first = nn.Linear(seen, width)
            self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
            self.last = nn.Linear(width, manifold.span_size)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    @classmethod
    def for_data(cls, manifold: Manifold, x1: Tensor, width: int = 256, depth: int = 4, *, seed: int = 0) -> TangentMLP:
        """A network whose features reach as far as the structure of the data does; see `choose_features`.

        Args:
            manifold: Where the field lives.
            x1: Training data `(N, *point_shape)`.
            width: Units in each hidden layer.
            depth: Number of residual layers.
            seed: Seed of the initial weights and waves.
        """
        choice = choose_features(manifold, x1)
        return cls(manifold, width, depth, **choice._asdict(), seed=seed)

    def forward(self, t: Tensor | float, x: Tensor) -> Tensor:
        """The tangent vectors at `x`: t is a scalar or `(*batch)`, x and the result `(*batch, *point_shape)`."""
        return self.manifold.span(x, self.coefficients(t, x))

    def coefficients(self, t: Tensor | float, x: Tensor) -> Tensor:
        """What the manifold's `span` makes the tangent vectors of: `(*batch, span_size)`, in the dtype of `x`."""
        dtype = self.last.weight.dtype
        point = x.to(dtype)
        plain = self.manifold.features(point)
        if self.center is not None:
            plain = plain - self.center
        if self.spread is not None:
            plain = plain / self.spread
        time = torch.as_tensor(t, dtype=dtype, device=point.device)
        seen = [plain, self.time(time.expand(plain.shape[:-1]))]
        if self.space is not None:
            seen.append(self.space(plain))
        if self.angles is not None:
            seen.append(self.angles(point))
        h = nn.functional.silu(self.first(torch.cat(seen, -1)))
        for layer in self.hidden:
            h = h + nn.functional.silu(layer(h))
        output = self.last(h)
        if self.speed is not None:
            output = output * self.speed
        return output.to(x.dtype)

    def extra_repr(self) -> str:
        """The arguments, for `repr`."""
        return f"{self.manifold!r}, width={self.config['width']}, depth={self.config['depth']}"
