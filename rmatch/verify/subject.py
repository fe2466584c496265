"""What is examined: a manifold, the distributions on it, and two probability paths."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from rmatch._errors import OptionError
from rmatch.distributions import Distribution, VonMisesFisher, WrappedNormal, default_base
from rmatch.manifolds import Manifold, ManifoldSpec
from rmatch.objectives import Pairing, pairing
from rmatch.paths import FlowPath, HeatPath, ProbabilityPath
from rmatch.solvers import RK4
from rmatch.verify._derivatives import over_points
from rmatch.verify.base import Need
from rmatch.verify.cut import usual_length
from rmatch.verify.functions import Bell, RandomField, geodesics_meet, random_bell, random_field, random_function

__all__ = ["Pair", "Subject"]

SAMPLES = 200
"""Samples for expectations under a path where there is no spectral rule."""
_FLOW_TIMES, _FLOW_DEGREES = 7, {1: 60, 2: 24, 3: 14}
_HEAT_TIMES, _HEAT_TIMES_BY_SAMPLES, _HEAT_DEGREES = 17, 9, {1: 80, 2: 50, 3: 24}
_STEPS, _FEW_STEPS = 6, 2
"""Steps of RK4 for flows; few where no heat kernel is known and flows stand in for it, as on matrices, whose steps cost
much.
"""
_CLOSED_SAMPLES = 1000
"""Samples of paths in closed form, where there are too many dimensions for a rule."""


class Subject:
    """A manifold with what is examined on it.

    Args:
        manifold: The manifold.
        distributions: Distributions to examine; those that the library has for the manifold by default.
        pair: Two probability paths to examine; flows of random fields by default.
        name: What a report calls it; the manifold's constructor call by default.
        thorough: Whether laws that take long are wanted.
        reach: How far apart points may be; by default as far as they get.
    """

    def __init__(
        self,
        manifold: Manifold,
        distributions: tuple[Distribution, ...] | None = None,
        pair: Pair | None = None,
        name: str | None = None,
        thorough: bool = False,
        reach: float | None = None,
    ) -> None:
        self.manifold = manifold
        self.is_local = reach is not None
        self.reach = usual_length(manifold) if reach is None else reach
        self.thorough = thorough
        self.name = repr(manifold) if name is None else name
        self._distributions = distributions
        self._pair = pair

    @cached_property
    def distributions(self) -> tuple[Distribution, ...]:
        """The distributions to examine."""
        return _known_distributions(self.manifold) if self._distributions is None else self._distributions

    @property
    def given(self) -> bool:
        """Whether the two paths were handed in."""
        return self._pair is not None

    @cached_property
    def is_member(self) -> bool:
        """Whether it is a member of the library, whose geodesics are closed forms, so that flows are solved fast."""
        try:
            ManifoldSpec.of(self.manifold)
        except OptionError:
            return False
        return True

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Pairs of paths to examine: the one that was handed in, else heat paths where they are known, and flows."""
        if self._pair is not None:
            return (self._pair,)
        heat = _heat_paths(self.manifold)
        flows = _flows(self.manifold, _STEPS if heat is not None or self.manifold.dim < 3 else _FEW_STEPS)
        return (flows,) if heat is None else (heat, flows)


def _kept_near(subject: Subject) -> str | None:
    return "points are kept within a reach, and this law goes everywhere" if subject.is_local else None


NO_DISTRIBUTION = "no density is known on it that counts every geodesic between two points"
EVERYWHERE = Need("points all over the manifold", _kept_near)


class Pair:
    """Two probability paths p and q, with their pairing, which several laws look at.

    Args:
        p: One path.
        q: Another one on the same manifold.
        accuracy: How far the densities of the paths may be off, in nats: the error of their solver.

    Attributes:
        is_closed: Whether both are in closed form, so that no solver is needed.
    """

    def __init__(self, p: ProbabilityPath, q: ProbabilityPath, accuracy: float = 0.0) -> None:
        self.p = p
        self.q = q
        self.accuracy = accuracy
        self.is_closed = isinstance(p, HeatPath) and isinstance(q, HeatPath)

    @property
    def degree(self) -> int:
        """Degree of the rule for expectations: some hundred nodes to a few thousand."""
        return (_HEAT_DEGREES if self.is_closed else _FLOW_DEGREES).get(self.p.manifold.dim, 10)

    @property
    def method(self) -> Literal["quadrature", "samples"]:
        """How expectations are taken: by a spectral rule up to three dimensions, where there is one."""
        M = self.p.manifold
        return "quadrature" if M.dim <= 3 and M.quadrature_is_exact(self.degree) else "samples"

    @property
    def samples(self) -> int:
        """Samples of each law and at each time, where there is no rule."""
        return _CLOSED_SAMPLES if self.is_closed else SAMPLES

    @property
    def is_quick(self) -> bool:
        """Whether a pairing takes about a second: by samples in closed form, by a rule for flows only in two."""
        if self.method == "samples":
            return self.is_closed
        return self.is_closed or self.p.manifold.dim <= 2

    @property
    def certainty(self) -> float:
        """How many of its errors a number may be off by: one where they bound it, five of the standard ones."""
        return 1.0 if self.method == "quadrature" else 5.0

    @cached_property
    def pairing(self) -> Pairing:
        """KL, the losses and the entropy rates, with their errors."""
        closed_times = _HEAT_TIMES if self.method == "quadrature" else _HEAT_TIMES_BY_SAMPLES
        times = closed_times if self.is_closed else _FLOW_TIMES
        generator = torch.Generator().manual_seed(0)
        return pairing(
            self.p,
            self.q,
            method=self.method,
            times=times,
            degree=self.degree,
            samples=self.samples,
            generator=generator,
        )

    def __repr__(self) -> str:
        """The two paths."""
        return f"p = {self.p!r}, q = {self.q!r}"


def _known_distributions(M: Manifold) -> tuple[Distribution, ...]:
    """The laws that the library has for the manifold, not too narrow for a quadrature rule.

    Where volume is infinite and geodesics meet again, as on a cylinder, a wrapped normal counts one of them: there is
    none then.
    """
    origin = M.origin(dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    if geodesics_meet(M, generator):
        return ()
    offset = M.random_tangent(origin, generator=generator) * (0.3 * usual_length(M) / math.sqrt(M.dim))
    mean = M.project(M.exp(origin, offset))
    narrow = math.isfinite(M.volume) and M.dim <= 3
    scale = usual_length(M) / 3 if narrow else usual_length(M)
    makers: list[Callable[[], Distribution]] = [
        lambda: default_base(M),
        lambda: WrappedNormal(M, mean, scale),
        lambda: VonMisesFisher(M, mean, 2.0 if M.dim <= 3 else 0.5),
    ]
    found: list[Distribution] = []
    for make in makers:
        try:
            found.append(make())
        except OptionError:  # it does not exist on this manifold
            continue
    return tuple(found)


def _heat_paths(M: Manifold) -> Pair | None:
    """Two mixtures of two heat kernels each that spread, where heat kernels are known."""
    origin = M.origin(dtype=torch.float64).expand(4, *M.point_shape)
    generator = torch.Generator().manual_seed(0)
    length = min(1.0, usual_length(M))
    offsets = M.random_tangent(origin, generator=generator) * (0.5 * length / math.sqrt(M.dim))
    means = M.project(M.exp(origin, offsets))
    try:
        p, q = (HeatPath(M, m, [1.0, 2.0], start=0.4 * length**2, end=0.8 * length**2) for m in means.split(2))
    except OptionError:  # no heat kernel is known
        return None
    return Pair(p, q)


def _flows(M: Manifold, steps: int) -> Pair:
    """Two flows of smooth fields from one base; twice as many steps tell the error of their log-densities."""
    generator = torch.Generator().manual_seed(0)
    fields = [_blend(M, generator) for _ in "pq"]
    base = default_base(M)
    p, q = (FlowPath(field, base=base, solver=RK4(steps)) for field in fields)
    x = p.sample(1.0, (16,), generator=generator, dtype=torch.float64)
    finer = FlowPath(fields[0], base=base, solver=RK4(2 * steps))
    gap = (p.log_prob(1.0, x) - finer.log_prob(1.0, x)).abs().amax()
    return Pair(p, q, 4 * float(gap))


@dataclass(frozen=True)
class Blend:
    """The field `scale bell(x) ((1 - t) V + t W)`.

    Args:
        first: V.
        second: W.
        bell: What makes it decay where the volume is infinite.
        scale: A factor.
    """

    first: RandomField
    second: RandomField
    bell: Bell | None
    scale: float

    def __call__(self, t: Tensor, x: Tensor) -> Tensor:
        """The tangent vectors at the points x and the time t."""
        v = self.scale * ((1 - t) * self.first(x) + t * self.second(x))
        return v if self.bell is None else over_points(self.first.manifold, self.bell(x), v)


def _blend(M: Manifold, generator: torch.Generator) -> Blend:
    first, second = (
        random_field(M, generator, random_function(M, generator, ridges=2, frequency=1.0, profile="wave", bell=None))
        for _ in range(2)
    )
    origin = M.origin(dtype=torch.float64)
    size = max(float(M.norm(origin, part(origin))) for part in (first, second))
    bell = None if math.isfinite(M.volume) else random_bell(M, generator)
    return Blend(first, second, bell, 0.4 * min(1.0, usual_length(M)) / max(size, 0.1))
