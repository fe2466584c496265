"""Manifolds that are wrong on purpose: each class makes one mistake that has been made in practice."""

import math

import torch
from torch import Tensor

import rmatch as rm


class AmbientTrace(rm.Sphere):
    """The divergence as the trace of the ambient derivative: right only for fields continued by projection."""

    def value_and_divergence(self, field, **options):
        del options

        def evaluate(x: Tensor) -> tuple[Tensor, Tensor]:
            value, pull = torch.func.vjp(field, x)[:2]
            rows = [pull(unit.expand_as(x))[0] * unit for unit in torch.eye(x.shape[-1], dtype=x.dtype)]
            return value, torch.stack(rows).sum((0, -1))

        return evaluate


class DoubledMetric(rm.Sphere):
    """`inner` in other units than distances, volumes and gradients."""

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return 2 * super().inner(x, u, v)


class ProjectedTransport(rm.Sphere):
    """Transport that projects to the other tangent space, and shortens the vector."""

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        return self.to_tangent(y, v)


class ClampedLog(rm.Sphere):
    """The angle by an arc cosine whose argument is kept away from 1."""

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        cosine = (x * y).sum(-1, keepdim=True).clamp(-1 + 1e-7, 1 - 1e-7)
        u = y - cosine * x
        return cosine.arccos() * u / u.norm(dim=-1, keepdim=True).clamp_min(1e-12)

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        return (x * y).sum(-1).clamp(-1 + 1e-7, 1 - 1e-7).arccos()


class AreaAsLength(rm.Sphere):
    """`|det d exp|` with sin r / r to the power n instead of n - 1."""

    def log_det_exp(self, x: Tensor, v: Tensor) -> Tensor:
        return super().log_det_exp(x, v) * self.dim / (self.dim - 1)


class SquaredDistance(rm.Euclidean):
    """The square of the distance, which breaks the triangle inequality."""

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        return super().dist(x, y) ** 2


class BlindToTheSeam(rm.Torus):
    """Differences of angles that are not taken modulo the period."""

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        return y - x


class SeamOpen(rm.Torus):
    """Angles reduced by a remainder, of which -1e-20 is 2π and not 0."""

    def project(self, x: Tensor) -> Tensor:
        return torch.remainder(x, 2 * math.pi)

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        return self.project(x + v)


class VolumeOff(rm.Sphere):
    """The volume of the ball in place of that of its surface, so that the uniform density is off by a constant."""

    def __init__(self, n: int) -> None:
        super().__init__(n)
        self.volume /= n + 1


class WeightsOff(rm.Sphere):
    """A Gauss rule in the polar angle without the factor that belongs to it."""

    def quadrature(self, degree: int = 60, **options) -> rm.Quadrature:
        nodes, weights = super().quadrature(degree, **options)
        return rm.Quadrature(nodes, weights * (1 - nodes[:, -1] ** 2).sqrt() * 4 / math.pi)


class SeamTwice(rm.Torus):
    """A trapezoid rule that has the angle 0 and the angle 2π, which is the same."""

    def quadrature(self, degree: int = 60, **options) -> rm.Quadrature:
        nodes, weights = super().quadrature(degree, **options)
        return rm.Quadrature(torch.cat([nodes, nodes[:1]]), torch.cat([weights, weights[:1]]))


class DeterminantUpsideDown(rm.SPD):
    """`log det g` of positive definite matrices with the wrong sign: det(X)^{(n+1)/2} for det(X)^{-(n+1)/2}."""

    def log_volume_density(self, x: Tensor) -> Tensor:
        return -super().log_volume_density(x)

    density_drift = rm.Manifold.density_drift


class DiagonalForTrace(rm.SPD):
    """The first entry of X⁻¹UX⁻¹V where its trace should be."""

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return (torch.linalg.solve(x, u) @ torch.linalg.solve(x, v))[..., 0, 0]


class LengthForVolume(rm.PoincareBall):
    """The volume density λ in place of λⁿ."""

    def log_volume_density(self, x: Tensor) -> Tensor:
        return super().log_volume_density(x) / self.dim

    def density_drift(self, x: Tensor, v: Tensor) -> Tensor:
        return super().density_drift(x, v) / self.dim


class EuclideanGradient(rm.PoincareBall):
    """A gradient without the inverse metric."""

    def sharp(self, x: Tensor, df: Tensor) -> Tensor:
        return df.expand_as(x)


class TransportInCoordinates(rm.PoincareBall):
    """Transport that forgets how long a coordinate is at the two ends."""

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        return v.expand(torch.broadcast_shapes(x.shape, y.shape, v.shape))


class Raises(rm.Sphere):
    """A method that is not there yet."""

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        raise NotImplementedError("transport is still to be written")


class Twisted(rm.Euclidean):
    """Transport of a connection with torsion in R³: it turns about the direction of the way."""

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        axis = y - x
        angle = torch.linalg.vector_norm(axis, dim=-1, keepdim=True)
        e = axis / (angle + (angle == 0))
        turned = angle.cos() * v + angle.sin() * torch.linalg.cross(e, v)
        return turned + (1 - angle.cos()) * (e * v).sum(-1, keepdim=True) * e


WRONG = [
    (AmbientTrace(2), "divergence-along-geodesics"),
    (DoubledMetric(2), "distance-is-length"),
    (DoubledMetric(2), "gradient"),
    (ProjectedTransport(2), "transport-isometry"),
    (ClampedLog(2), "distance-to-itself"),
    (ClampedLog(2), "distance-along-geodesics"),
    (AreaAsLength(2), "determinant-of-exp"),
    (SquaredDistance(2), "triangle-inequality"),
    (BlindToTheSeam(1), "logarithm-is-shortest"),
    (SeamOpen(2), "points-and-vectors-stay"),
    (VolumeOff(2), "volume-normalisation"),
    (WeightsOff(2), "integration-by-parts"),
    (WeightsOff(2), "divergence-theorem"),
    (WeightsOff(2), "quadrature-in-normal-coordinates"),
    (SeamTwice(1), "volume-normalisation"),
    (SeamTwice(1), "integration-by-parts"),
    (AmbientTrace(2), "divergence-theorem"),
    (AmbientTrace(2), "green"),
    (DoubledMetric(2), "integration-by-parts"),
    (DeterminantUpsideDown(2), "volume-density"),
    (DeterminantUpsideDown(2), "divergence-along-geodesics"),
    (DeterminantUpsideDown(2), "laplacian-along-geodesics"),
    (DeterminantUpsideDown(2), "integration-by-parts"),
    (DiagonalForTrace(2), "metric-symmetric"),
    (LengthForVolume(2), "volume-density"),
    (LengthForVolume(2), "divergence-along-geodesics"),
    (LengthForVolume(2), "divergence-theorem"),
    (LengthForVolume(2), "integration-by-parts"),
    (LengthForVolume(2), "green"),
    (EuclideanGradient(2), "sharp"),
    (EuclideanGradient(2), "gradient"),
    (EuclideanGradient(2), "leibniz"),
    (EuclideanGradient(2), "integration-by-parts"),
    (TransportInCoordinates(2), "transport-isometry"),
    (Raises(2), "transport-isometry"),
    (Twisted(3), "transport-parallel"),
]
