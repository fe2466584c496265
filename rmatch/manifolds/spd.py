"""Symmetric positive definite matrices."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

import rmatch.manifolds._quadrature as _quadrature
from rmatch._errors import OptionError
from rmatch._numerics import possibly_any, rows_of, standard_normal
from rmatch.manifolds._affine_invariant import AffineInvariant
from rmatch.manifolds._log_euclidean import LogEuclidean
from rmatch.manifolds._spd_metric import SPDMetric
from rmatch.manifolds._symmetric import (
    from_coordinates,
    spectrum,
    symmetric_basis,
    symmetric_log,
    symmetrise,
    to_coordinates,
    transpose,
)
from rmatch.manifolds.base import Manifold, Quadrature

MetricName = Literal["affine-invariant", "log-euclidean"]

_METRICS: dict[str, type[SPDMetric]] = {"affine-invariant": AffineInvariant, "log-euclidean": LogEuclidean}
_FLOOR = 32.0  # times n eps: what Cholesky's method needs to succeed, with room for a few more roundings


class SPD(Manifold):
    """The symmetric positive definite n × n matrices, such as covariances and diffusion tensors.

    With the affine-invariant metric

        g_x(u, v) = tr(x⁻¹ u x⁻¹ v),    dist(x, y)² = Σ_i log² λ_i(x⁻¹ y),    dV = det(x)^{-(n+1)/2} dx,

    where dx is the Lebesgue measure of Frobenius-orthonormal coordinates (2^{n(n-1)/4} Π_{i<=j} dx_ij). It is the same
    after every congruence a x aᵀ and after inversion, and has curvature <= 0. With the log-Euclidean metric the matrix
    logarithm is an isometry to the symmetric matrices, and everything is flat.

    Tangent vectors are symmetric matrices. All methods are finite with their first two derivatives, also where
    eigenvalues coincide and at equal points. Two matrices of condition κ have a distance that is accurate to κ
    roundings, as well as their entries determine it.

    Args:
        n: Size of the matrices, at least 1; the dimension is n(n+1)/2.
        metric: `"affine-invariant"` or `"log-euclidean"`.

    Raises:
        OptionError: `n` is less than 1, or the metric is unknown.

    References:
        Pennec, Fillard and Ayache, "A Riemannian framework for tensor computing", IJCV 2006.
        Arsigny, Fillard, Pennec and Ayache, "Geometric means in a novel vector space structure on symmetric
        positive-definite matrices", SIMAX 2007 (log-Euclidean).
        Terras, "Harmonic analysis on symmetric spaces", volume II, 1988 (the volume).

    Example:
        >>> import torch, rmatch as rm
        >>> M = rm.SPD(2)
        >>> x, y = torch.eye(2), torch.tensor([[2.0, 1.0], [1.0, 2.0]])
        >>> M.dist(x, y)  # the eigenvalues are 3 and 1
        tensor(1.0986)
        >>> M.geodesic(x, y, 0.5).det()
        tensor(1.7321)
    """

    def __init__(self, n: int, metric: MetricName = "affine-invariant") -> None:
        if n < 1:
            raise OptionError(f"positive definite matrices have size 1 or more, got SPD({n})")
        if metric not in _METRICS:
            raise OptionError(f"unknown metric {metric!r} of SPD; use 'affine-invariant' or 'log-euclidean'")
        self.n = n
        self.dim = n * (n + 1) // 2
        self.point_shape = (n, n)
        self.volume = math.inf
        self.metric_name: MetricName = metric
        self._metric = _METRICS[metric]()

    # ---- geodesics --------------------------------------------------------------------------------------------------

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """`tr(x⁻¹ u x⁻¹ v)`; log-Euclidean `tr(Dlog_x[u] Dlog_x[v])`."""
        return self._metric.inner(x, u, v)

    def norm(self, x: Tensor, u: Tensor) -> Tensor:
        """The length of a tangent vector; its derivative at u = 0 is 0."""
        return self._metric.norm(x, u)

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """`|log λ(x⁻¹ y)|`; log-Euclidean `|log y - log x|`."""
        return self._metric.dist(x, y)

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """`x^{1/2} e^w x^{1/2}` with w = x^{-1/2} v x^{-1/2}; log-Euclidean `e^w` with w = log x + Dlog_x[v]."""
        return self._metric.exp(x, v)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """`x^{1/2} w x^{1/2}` with e^w = x^{-1/2} y x^{-1/2}; log-Euclidean `Dexp_{log x}[log y - log x]`."""
        return self._metric.log(x, y)

    def geodesic_with_velocity(self, x: Tensor, y: Tensor, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """The point and the velocity, from one logarithm."""
        s = self._over_points(t)
        return self._metric.geodesic_with_velocity(x, y, s)

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """`e v eᵀ`, `e = (y x⁻¹)^{1/2}`; log-Euclidean `Dexp_{log y}[Dlog_x[v]]`."""
        return self._metric.transport(x, y, v)

    def log_det_exp(self, x: Tensor, v: Tensor) -> Tensor:
        """`Σ_{i<j} log(sinh(h_ij)/h_ij)`, h_ij half the differences of the eigenvalues of `x⁻¹ v`; log-Euclidean 0."""
        return self._metric.log_det_exp(x, v)

    # ---- points and vectors -----------------------------------------------------------------------------------------

    def origin(self, *, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Tensor:
        """The identity matrix."""
        return torch.eye(self.n, dtype=dtype, device=device)

    def project(self, x: Tensor) -> Tensor:
        """The nearest positive definite matrix in the Frobenius norm, with a floor under its eigenvalues.

        The symmetric part where Cholesky's method finds that positive definite; elsewhere its eigenvalues below
        `32 n eps max|λ|` are raised to that (to `32 n eps` for the zero matrix). Of such a row the first derivative is
        right, and the second is taken as 0.
        """
        a = symmetrise(x)
        failed = torch.linalg.cholesky_ex(a.detach()).info != 0
        if not possibly_any(failed):
            return a
        rows = rows_of(failed)
        if rows is None:
            return torch.where(failed[..., None, None], self._raise_eigenvalues(a), a)
        flat = a.reshape(-1, self.n, self.n)
        return flat.index_copy(0, rows, self._raise_eigenvalues(flat[rows])).reshape(a.shape)

    def contains(self, x: Tensor) -> Tensor:
        """Where Cholesky's method finds the symmetric part positive definite."""
        return torch.linalg.cholesky_ex(symmetrise(x)).info == 0

    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """The symmetric part, with the batch of the points."""
        part = symmetrise(v)
        return part if part.shape == x.shape else part.expand(torch.broadcast_shapes(x.shape, part.shape))

    def sharp(self, x: Tensor, df: Tensor) -> Tensor:
        """`x df x` with the symmetric part of `df`; log-Euclidean `Dexp_z[Dexp_z[df]]`, z = log x."""
        return self._metric.sharp(x, symmetrise(df))

    def metric(self, x: Tensor) -> Tensor:
        """The Gram matrix of the symmetric parts of the n² unit matrices, `(*batch, n², n²)`, of rank `dim`."""
        return self._metric.metric(x)

    def frame(self, x: Tensor) -> Tensor:
        """An orthonormal basis that is smooth everywhere: `(*batch, dim, n, n)`.

        It is `L B_k Lᵀ` with the Cholesky factor L and the basis B_k of `coordinate_frame`; log-Euclidean
        `Dexp_{log x}[B_k]`.
        """
        return self._metric.frame(x)

    def coordinate_frame(self, x: Tensor) -> Tensor:
        """The Frobenius-orthonormal matrices E_ii and (E_ij + E_ji)/√2, i < j, row by row: `(*batch, dim, n, n)`."""
        basis = symmetric_basis(self.n, x.dtype, x.device)
        return basis.expand(*x.shape[:-2], *basis.shape)

    def span(self, x: Tensor, coefficients: Tensor) -> Tensor:
        """The combination of `frame(x)`, without making the frame."""
        return self._metric.colour(x, from_coordinates(coefficients, self.n))

    def random_tangent(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """A standard normal vector in the tangent space, of independent N(0, 1) coefficients on `frame(x)`."""
        return self.span(x, standard_normal((*x.shape[:-2], self.dim), x, generator))

    def features(self, x: Tensor) -> Tensor:
        """The coordinates of the matrix logarithm, smooth and of size log κ at a condition κ: `(*batch, dim)`."""
        return to_coordinates(symmetric_log(x))

    # ---- volume -----------------------------------------------------------------------------------------------------

    def log_volume_density(self, x: Tensor) -> Tensor:
        """`-(n+1)/2 log det x` against the Frobenius-orthonormal coordinates; log-Euclidean `log det Dlog_x`."""
        return self._metric.log_volume_density(x)

    def density_drift(self, x: Tensor, v: Tensor) -> Tensor | None:
        """`-(n+1)/2 tr(x⁻¹ v)`; log-Euclidean the derivative of `log det Dlog_x`."""
        return self._metric.density_drift(x, v)

    def volume_form(self, x: Tensor, vectors: Tensor) -> Tensor:
        """The oriented volume: 1 on `frame(x)`."""
        return self._metric.volume_form(x, vectors)

    def quadrature(
        self, degree: int = 60, *, dtype: torch.dtype = torch.float64, device: torch.device | None = None
    ) -> Quadrature:
        """Gauss–Hermite product rules in the coordinates of the matrix logarithm, for n <= 2.

        Spectral for smooth functions that decay like a normal density of `log x`. For larger n, quasi-Monte Carlo
        importance sampling around the identity.
        """
        if not self.quadrature_is_exact(degree):
            return super().quadrature(degree, dtype=dtype, device=device)
        coordinates, weights = _quadrature.normal_rule(self.dim, degree, torch.float64, None)
        tangents = from_coordinates(coordinates, self.n)
        origin = self.origin(dtype=torch.float64)
        weights = weights * self.log_det_exp(origin, tangents).exp()
        return Quadrature(self.exp(origin, tangents).to(device, dtype), weights.to(device, dtype))

    def quadrature_is_exact(self, degree: int) -> bool:
        """Whether the product rule is used: for n <= 2."""
        del degree
        return self.n <= 2

    # ---- checks -----------------------------------------------------------------------------------------------------

    def check_point(self, x: Tensor, *, tolerance: float | None = None) -> str | None:
        """What is wrong with `x` as positive definite matrices, or None.

        The tolerance is for the symmetry, relative to the largest entry of the matrix.
        """
        problem = self._check_array(x, "points")
        if problem is not None or x.numel() == 0:
            return problem
        a = x.detach().reshape(-1, self.n, self.n)
        allowed = (1e-8 if x.dtype == torch.float64 else 1e-5) if tolerance is None else tolerance
        gap = (a - transpose(a)).abs().amax((-2, -1)) / a.abs().amax((-2, -1)).clamp_min(torch.finfo(a.dtype).tiny)
        if bool((gap > allowed).any()):
            row = int(gap.argmax())
            return (
                f"on {self!r}, row {self._row(x, row)} is not symmetric: entries across the diagonal differ by "
                f"{float(gap[row]):.2g} of the largest, more than {allowed:.0e}; use project(x) if that is meant"
            )
        failed = torch.linalg.cholesky_ex(symmetrise(a)).info != 0
        if not bool(failed.any()):
            return None
        row = int(failed.to(torch.uint8).argmax())
        smallest = float(torch.linalg.eigvalsh(symmetrise(a[row]).double())[0])
        return (
            f"on {self!r}, row {self._row(x, row)} is not positive definite: its smallest eigenvalue is "
            f"{smallest:.3g}; add a multiple of the identity, or use project(x) if the nearest one is meant"
        )

    # ---- helpers ----------------------------------------------------------------------------------------------------

    def _raise_eigenvalues(self, a: Tensor) -> Tensor:
        """The matrices with eigenvalues raised to the floor.

        The positive part is homogeneous, hence its own derivative along the matrix: `Q (K ∘ QᵀaQ) Qᵀ` with K the
        divided differences of max(λ, 0), held constant.
        """
        vectors, values = spectrum(a)
        size = values.abs().amax(-1, keepdim=True)
        floor = _FLOOR * self.n * torch.finfo(a.dtype).eps * torch.where(size == 0, 1.0, size)
        positive = values.relu()
        first, second = values.unsqueeze(-1), values.unsqueeze(-2)
        equal = first == second
        slopes = (positive.unsqueeze(-1) - positive.unsqueeze(-2)) / (first - second + equal)
        slopes = torch.where(equal, (first > 0).to(a.dtype), slopes)
        part = slopes * (transpose(vectors) @ a @ vectors) + torch.diag_embed((floor - positive).relu())
        return symmetrise(vectors @ part @ transpose(vectors))

    def _row(self, x: Tensor, flat: int) -> str:
        """The batch index of a row of the flattened batch, as a person writes it."""
        index = torch.unravel_index(torch.tensor(flat), x.shape[:-2])
        return ", ".join(str(int(i)) for i in index) or "0"

    def __repr__(self) -> str:
        """The constructor call."""
        return (
            f"{type(self).__name__}({self.n})"
            if self.metric_name == "affine-invariant"
            else f'{type(self).__name__}({self.n}, metric="{self.metric_name}")'
        )
