"""Gradients through a solve whose memory does not grow with the number of steps.

Only the points between the steps are kept, as small as the batch. The backward pass walks over the steps from the last
to the first, computes each again with a graph, and frees that graph before it goes on. So the gradient is that of the
discrete solve, to the last digit, not the solution of an adjoint equation with an error of its own (Gholami, Keutzer
and Biros, "ANODE: unconditionally accurate memory-efficient gradients for neural ODEs", IJCAI 2019).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from rmatch.solvers._checks import State
from rmatch.solvers._system import Move, System

Run = Callable[[State], tuple[State, int, int]]


class Walk:
    """A solve that is to be walked back: the system, how to run it, and what came out beside tensors."""

    def __init__(self, system: System, run: Run) -> None:
        self.system, self.run = system, run
        self.moves: list[Move] = []
        self.steps = self.rejected = 0

    def __call__(self, state: State, parameters: Sequence[Tensor]) -> tuple[State, int, int]:
        """The final state, differentiable in the starting point and the parameters; accepted and rejected steps."""
        if state.log_density is None:
            (point,) = _WalkBack.apply(self, state.point, *parameters)  # pyright: ignore[reportGeneralTypeIssues]
            return State(point, None), self.steps, self.rejected
        point, log_density = _WalkBack.apply(self, state.point, *parameters)  # pyright: ignore[reportGeneralTypeIssues]
        return State(point, log_density), self.steps, self.rejected

    def forward(self, point: Tensor) -> tuple[Tensor, ...]:
        """The final point and perhaps the change of the log-density, with the steps written down."""
        self.system.trace = self.moves
        state, self.steps, self.rejected = self.run(self._start(point))
        self.system.trace = None
        return tuple(value for value in (state.point, state.log_density) if value is not None)

    def backward(self, gradients: Sequence[Tensor], parameters: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Gradients in the starting point and the parameters, from those in the results."""
        of_point, *rest = gradients
        of_parameters = [torch.zeros_like(parameter) for parameter in parameters]
        while self.moves:
            move = self.moves.pop()
            with torch.enable_grad():
                x = move.state.point.detach().requires_grad_()
                state = self.system.step(move.tableau, move.t, move.h, self._start(x)).state
                results = [value for value in (state.point, state.log_density) if value is not None]
            of_point, *found = torch.autograd.grad(
                results, [x, *parameters], [of_point, *rest], allow_unused=True, materialize_grads=True
            )
            of_parameters = [total + part for total, part in zip(of_parameters, found, strict=True)]
        return of_point, of_parameters

    def _start(self, point: Tensor) -> State:
        if self.system.divergence is None:
            return State(point, None)
        return State(point, point.new_zeros(point.shape[: point.dim() - len(self.system.manifold.point_shape)]))


class _WalkBack(torch.autograd.Function):
    """The graph node of a `Walk`."""

    @staticmethod
    def forward(ctx: Any, walk: Walk, point: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        ctx.walk = walk
        ctx.save_for_backward(*parameters)
        return walk.forward(point)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        of_point, of_parameters = ctx.walk.backward(gradients, ctx.saved_tensors)
        return (None, of_point, *of_parameters)
