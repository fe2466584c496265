"""What several tests of this folder integrate."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


def distribution_function(grid: Tensor, density: Tensor) -> Callable[[np.ndarray], np.ndarray]:
    """The integral of a density that is zero outside a fine grid, for scipy's tests; the mass must be near 1."""
    mass = torch.cat([density.new_zeros(1), torch.cumulative_trapezoid(density, grid)])
    assert abs(float(mass[-1]) - 1) < 1e-3
    return lambda value: np.interp(value, grid.numpy(), mass.numpy())
