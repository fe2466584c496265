"""Distributions and paths that are wrong on purpose are rejected by the right law."""

import math

import pytest
import torch
from torch import Tensor

import rmatch as rm
from rmatch.verify.subject import Subject

NORTH = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)


class OffByAConstant(rm.Uniform):
    """The uniform density of the unit disk's area, on the sphere."""

    def log_prob(self, x: Tensor) -> Tensor:
        return super().log_prob(x) + math.log(4)


class WithoutPreimages(rm.WrappedNormal):
    """A wrapped normal that counts the shortest geodesic alone."""

    def log_prob(self, x: Tensor) -> Tensor:
        M = self.manifold
        v = M.log(self.mean, x)
        exponent = -M.inner(self.mean, v, v) / (2 * self.scale**2)
        return exponent - M.dim * (self.scale.log() + 0.5 * math.log(2 * math.pi)) - M.log_det_exp(self.mean, v)


class TooWideASampler(rm.VonMisesFisher):
    """A sampler of another concentration than the density's."""

    def sample(self, shape=(), **options):
        return rm.VonMisesFisher(self.manifold, self.mean, 1.5).sample(shape, **options)


class EuclideanScore(rm.VonMisesFisher):
    """A score that is the ambient gradient."""

    def score(self, x: Tensor) -> Tensor:
        return 2 * self.mean.expand_as(x)


@pytest.mark.parametrize(
    ("p", "law"),
    [
        (OffByAConstant(rm.Sphere(2)), "density-normalised"),
        (WithoutPreimages(rm.Sphere(2), NORTH, 1.5), "density-normalised"),
        (WithoutPreimages(rm.Torus(1), NORTH[:1], 2.0), "density-normalised"),
        (TooWideASampler(rm.Sphere(2), NORTH, 2.0), "sampler-matches-density"),
        (TooWideASampler(rm.Sphere(2), NORTH, 2.0), "stein-identity"),
        (EuclideanScore(rm.Sphere(2), NORTH, 2.0), "score"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_wrong_distribution_is_rejected_by_the_right_law(p: rm.Distribution, law: str) -> None:
    assert rm.check_distribution(p, laws=[law])[law].status == "broken"


@pytest.mark.parametrize(
    "p",
    [
        rm.Uniform(rm.Sphere(2)),
        rm.WrappedNormal(rm.Torus(1), NORTH[:1], 2.0),
        rm.VonMisesFisher(rm.Sphere(2), NORTH, 2.0),
    ],
    ids=repr,
)
def test_right_distributions_pass(p: rm.Distribution) -> None:
    report = rm.check_distribution(p)
    report.raise_if_failed()
    assert report.subject == repr(p)


class TwiceTheField(rm.FlowPath):
    """A velocity that is not the one which carried the density."""

    def velocity(self, t, x: Tensor) -> Tensor:
        return 2 * super().velocity(t, x)


class FlippedScore(rm.FlowPath):
    """A score of the wrong sign."""

    def log_prob_and_score(self, t: float, x: Tensor) -> tuple[Tensor, Tensor]:
        log_prob, score = super().log_prob_and_score(t, x)
        return log_prob, -score


def squeeze(t: Tensor, x: Tensor) -> Tensor:
    return 0.5 * x.sin()


BASE = rm.VonMisesFisher(rm.Torus(1), torch.tensor([1.0], dtype=torch.float64), 1.0)
Q = rm.FlowPath(lambda t, x: 0.3 * torch.ones_like(x), BASE, rm.RK4(8))


@pytest.mark.parametrize(
    ("path", "law"),
    [
        (TwiceTheField, "continuity-equation"),
        (TwiceTheField, "entropy-rate"),
        (TwiceTheField, "kl-identity"),
        (TwiceTheField, "kl-rate"),
        (FlippedScore, "path-score"),
        (FlippedScore, "entropy-rate"),
        (FlippedScore, "kl-identity"),
    ],
)
def test_a_wrong_path_is_rejected_by_the_right_law(path: type[rm.FlowPath], law: str) -> None:
    right = rm.FlowPath(squeeze, BASE, rm.RK4(8))
    assert rm.check_paths(right, Q, laws=[law], accuracy=1e-5).ok
    wrong = path(squeeze, BASE, rm.RK4(8))
    assert rm.check_paths(wrong, Q, laws=[law], accuracy=1e-5)[law].status == "broken"


class HalfAsFast(rm.HeatPath):
    """A field that lags behind the density."""

    def velocity(self, t: Tensor | float, x: Tensor) -> Tensor:
        return 0.5 * super().velocity(t, x)


@pytest.mark.parametrize("M", [rm.Torus(10), rm.Sphere(6)], ids=repr)
@pytest.mark.parametrize("law", ["continuity-equation", "entropy-rate", "kl-identity"])
def test_a_wrong_path_in_many_dimensions_is_rejected_within_the_standard_error(M: rm.Manifold, law: str) -> None:
    origin = M.origin(dtype=torch.float64).expand(2, *M.point_shape)
    offsets = M.random_tangent(origin, generator=torch.Generator().manual_seed(0))
    a, b = M.exp(origin, 0.6 * offsets).split(1)
    right, wrong, other = (
        path(M, mean, start=0.1, end=0.4) for path, mean in ((rm.HeatPath, a), (HalfAsFast, a), (rm.HeatPath, b))
    )
    # KL between two kernels of one width falls by the field of the second alone
    pairs = [(other, path) if law == "kl-identity" else (path, other) for path in (right, wrong)]
    assert rm.check_paths(*pairs[0], laws=[law]).ok
    assert rm.check_paths(*pairs[1], laws=[law])[law].status == "broken"


@pytest.mark.parametrize(("path", "law"), [(TwiceTheField, "continuity-equation"), (FlippedScore, "path-score")])
def test_a_wrong_flow_on_matrices_is_rejected_in_spite_of_its_coarse_solver(path: type[rm.FlowPath], law: str) -> None:
    (pair,) = Subject(rm.SPD(2)).pairs
    right = pair.p
    assert isinstance(right, rm.FlowPath)
    wrong = path(right.field, right.base, right.solver)
    assert rm.check_paths(right, pair.q, laws=[law], accuracy=pair.accuracy).ok
    assert rm.check_paths(wrong, pair.q, laws=[law], accuracy=pair.accuracy)[law].status == "broken"


def test_right_paths_pass() -> None:
    rm.check_paths(rm.FlowPath(squeeze, BASE, rm.RK4(8)), Q, accuracy=1e-5).raise_if_failed()


def test_paths_on_different_manifolds_are_refused() -> None:
    other = rm.FlowPath(squeeze, rm.Uniform(rm.Torus(2)))
    with pytest.raises(rm.OptionError, match=r"Torus\(1\) and Torus\(2\)"):
        rm.check_paths(Q, other)
