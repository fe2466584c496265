"""Splitting rows into training, validation and test."""

from __future__ import annotations

from typing import NamedTuple

import torch

from rmatch._errors import DataError, OptionError

# The fewest rows of which a tenth is a whole row.
MINIMUM_ROWS = 10


class Split(NamedTuple):
    """Row indices of the three parts, `(n_train,)`, `(n_validation,)` and `(n_test,)`, int64.

    Args:
        train: For the gradients.
        validation: For choosing the best weights.
        test: For the number that is reported.
    """

    train: torch.Tensor
    validation: torch.Tensor
    test: torch.Tensor


def split(n: int, seed: int) -> Split:
    """Rows split 80/10/10 at random.

    A random permutation by torch's generator; validation and test have n // 10 rows each; the first rows train.

    Args:
        n: The number of rows, at least 10.
        seed: Of the permutation.

    Returns:
        Indices of the three parts: disjoint, and together 0, ..., n - 1.

    Raises:
        DataError: There are fewer than 10 rows.
        OptionError: The seed is negative.

    Source: the protocol of R. T. Q. Chen, Y. Lipman, Flow Matching on General Geometries (ICLR 2024), as in the code
        published with it.

    Example:
        >>> from rmatch.datasets import split
        >>> [len(part) for part in split(25, seed=0)]
        [21, 2, 2]
    """
    tenth = _tenth(n)
    order = _permutation(n, seed)
    return Split(order[: n - 2 * tenth], order[n - 2 * tenth : n - tenth], order[n - tenth :])


def split_by_site(points: torch.Tensor, seed: int) -> Split:
    """As `split`, but rows that are exact copies of each other all go to one part.

    Where many events share a site, a random split tests on points that were trained on. Here the rows of
    `split`'s permutation are gathered by site, and each cut is moved to the nearest end of a site. Without
    copies this is `split`.

    Args:
        points: `(N, *point_shape)`.
        seed: Of the permutation.

    Returns:
        Indices of the three parts: disjoint, and together all rows; no part is empty.

    Raises:
        DataError: There are fewer than 10 rows or fewer than 3 different points.
        OptionError: The seed is negative.

    Example:
        >>> import torch
        >>> from rmatch.datasets import split_by_site
        >>> points = torch.arange(20.0).div(4).floor()[:, None]  # five sites of four rows
        >>> [sorted(set(points[part, 0].tolist())) for part in split_by_site(points, seed=0)]
        [[1.0, 3.0, 4.0], [0.0], [2.0]]
    """
    n = len(points)
    tenth = _tenth(n)
    order = _permutation(n, seed)
    # [N]: the site of every row in the permuted order; -0 and 0 are equal
    site = torch.unique(points.detach().cpu().reshape(n, -1), dim=0, return_inverse=True)[1][order]
    sites = int(site.max()) + 1
    if sites < 3:
        raise DataError(f"the {n} rows are only {sites} different points; a split by site needs at least 3")
    first = torch.full((sites,), n).scatter_reduce(0, site, torch.arange(n), "amin")
    gathered = order[torch.argsort(first[site], stable=True)]
    ends = torch.bincount(site)[torch.argsort(first)].cumsum(0)
    cut = int((ends[:-2] - (n - 2 * tenth)).abs().argmin())
    last = cut + 1 + int((ends[cut + 1 : -1] - (n - tenth)).abs().argmin())
    start, stop = int(ends[cut]), int(ends[last])
    return Split(gathered[:start], gathered[start:stop], gathered[stop:])


def _tenth(n: int) -> int:
    """The size of the validation and of the test part."""
    if n < MINIMUM_ROWS:
        raise DataError(f"{n} row{'' if n == 1 else 's'} cannot be split 80/10/10; at least {MINIMUM_ROWS} are needed")
    return n // 10


def _permutation(n: int, seed: int) -> torch.Tensor:
    """A random order of n rows that depends on the seed only."""
    if seed < 0:
        raise OptionError(f"a seed is 0 or larger, got {seed}")
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))
