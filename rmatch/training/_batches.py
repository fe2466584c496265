"""Minibatches, one pass over the data after another, in an order that can be stored."""

from __future__ import annotations

import torch
from torch import Tensor


class Batches:
    """Row indices of minibatches: every pass over the data takes each row once, in a new random order.

    A batch that reaches the end of a pass goes on with the next one, so all batches have one size, which may be larger
    than the number of rows.

    Args:
        rows: Number of rows.
        size: Rows in a batch.
        seed: Of the orders.
    """

    def __init__(self, rows: int, size: int, seed: int) -> None:
        self.rows = rows
        self.size = size
        self._generator = torch.Generator().manual_seed(seed)
        self._begin_pass()

    def take(self) -> Tensor:
        """The rows of the next batch, `(size,)`, on the CPU."""
        parts: list[Tensor] = []
        needed = self.size
        while needed:
            if self._position == self.rows:
                self._begin_pass()
            part = self._order[self._position : self._position + needed]
            self._position += len(part)
            needed -= len(part)
            parts.append(part)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def state(self) -> tuple[Tensor, int]:
        """The generator's state when this pass began, and how many rows of the pass are taken."""
        return self._start, self._position

    def restore(self, start: Tensor, position: int) -> None:
        """Go on from what `state` returned."""
        self._generator.set_state(start)
        self._begin_pass()
        self._position = position

    def _begin_pass(self) -> None:
        self._start = self._generator.get_state()
        self._order = torch.randperm(self.rows, generator=self._generator)
        self._position = 0
