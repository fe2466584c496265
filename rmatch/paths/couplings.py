"""Couplings: which sample of the base a sample of the data is paired with."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from rmatch._errors import ShapeError
from rmatch.manifolds import Manifold


class Coupling(ABC):
    """A joint law of base and data samples with the given marginals, drawn one minibatch at a time."""

    @abstractmethod
    def couple(self, x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
        """Pair two batches `(B, *point_shape)`: row k of the first result goes with row k of the second."""


class Independent(Coupling):
    """Base and data are independent: the batches as they are.

    Example:
        >>> import torch
        >>> from rmatch.paths import Independent
        >>> Independent().couple(torch.tensor([[0.0]]), torch.tensor([[1.0]]))
        (tensor([[0.]]), tensor([[1.]]))
    """

    def couple(self, x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
        """The batches as they are."""
        return x0, x1

    def __repr__(self) -> str:
        """The constructor call."""
        return "Independent()"


class OptimalTransport(Coupling):
    """Minibatch optimal transport: the assignment that minimises `Σ_k dist(x0_k, x1_k)²` over permutations of the data.

    Paths are then shorter and cross less, so fewer steps are needed to sample.

    Args:
        manifold: Supplies the geodesic distance.

    References:
        Tong et al., "Improving and generalizing flow-based generative models with minibatch optimal transport",
        TMLR 2024, section 3.3.

    Example:
        >>> import torch, rmatch as rm
        >>> coupling = rm.OptimalTransport(rm.Torus(1))
        >>> x0, x1 = coupling.couple(torch.tensor([[0.1], [3.0]]), torch.tensor([[3.1], [6.2]]))
        >>> x1
        tensor([[6.2000],
                [3.1000]])
    """

    def __init__(self, manifold: Manifold) -> None:
        self.manifold = manifold

    def couple(self, x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
        """The base batch as it is, and the data batch permuted.

        Raises:
            ShapeError: The batches differ in size or are not plain batches `(B, *point_shape)`.
        """
        rank = len(self.manifold.point_shape)
        if x0.shape != x1.shape or x0.dim() != rank + 1:
            raise ShapeError(
                f"optimal transport pairs two batches (B, *point_shape) of one size, got {tuple(x0.shape)} and "
                f"{tuple(x1.shape)}"
            )
        from scipy.optimize import linear_sum_assignment

        with torch.no_grad():
            cost = self.manifold.dist(x0.unsqueeze(1), x1.unsqueeze(0)).square().double().cpu().numpy()
        _, columns = linear_sum_assignment(cost)
        return x0, x1[torch.as_tensor(columns, device=x1.device)]

    def __repr__(self) -> str:
        """The constructor call."""
        return f"OptimalTransport({self.manifold!r})"
