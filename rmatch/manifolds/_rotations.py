"""Rotations of R³ as matrices, quaternions and rotation vectors, accurate at every angle and differentiable twice.

Everything here has its components first and the batch last, matrices `(3, 3, *batch)` and vectors `(3, *batch)`: a
product of 100,000 such matrices is a few vector instructions over the batch, and takes an eighth of the time of a
batched matrix product. A quaternion is a pair of w `(*batch)` and v `(3, *batch)`, of any length but zero: w : |v| are
cosine and sine of half the angle, and v points along the axis.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rmatch._numerics import possibly_any

_CLOSE = 1e-2  # three Newton–Schulz steps take an error of half of this in every singular value to 1e-17
_NEWTON_STEPS = 3
_SMALL_SQUARE = 1e-4  # of a tangent: below it the series below is exact to 1e-17, see `rmatch._numerics`


def _linear_maps() -> tuple[Tensor, Tensor, Tensor]:
    """The matrices of `hat` (9, 3), of `axial` (3, 9) and of R -> 4 q qᵀ (16, 9).

    For a rotation R by θ about n with q = (cos(θ/2), sin(θ/2) n) the latter is I. Y. Bar-Itzhack, "New method for
    extracting the quaternion from a rotation matrix", Journal of Guidance 23 (2000), equation 5, plus the identity.
    """
    hat = torch.zeros(3, 3, 3, dtype=torch.float64, device="cpu")
    quadratic = torch.zeros(3, 3, 4, 4, dtype=torch.float64, device="cpu")
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        hat[i, k, j], hat[i, j, k] = 1.0, -1.0
        quadratic[i, i, 0, 0] = quadratic[i, i, i + 1, i + 1] = 1.0
        quadratic[i, i, j + 1, j + 1] = quadratic[i, i, k + 1, k + 1] = -1.0
        for a, b in ((j, k), (k, j)):
            quadratic[a, b, j + 1, k + 1] = quadratic[a, b, k + 1, j + 1] = 1.0
            quadratic[a, b, 0, i + 1] = quadratic[a, b, i + 1, 0] = hat[i, a, b]
    return hat.reshape(3, 9).T.contiguous(), hat.reshape(3, 9), quadratic.reshape(9, 16).T.contiguous()


_HAT, _AXIAL, _QUADRATIC = _linear_maps()
_OF_IDENTITY = torch.tensor([4.0] + 15 * [0.0], dtype=torch.float64, device="cpu").unsqueeze(-1)  # 4 q qᵀ of R = 1


def components(*arrays: Tensor) -> tuple[Tensor, ...]:
    """Matrices `(*batch, 3, 3)`, broadcast, with their components first."""
    return tuple(a.movedim((-2, -1), (0, 1)).contiguous() for a in torch.broadcast_tensors(*arrays))


def assemble(m: Tensor) -> Tensor:
    """Matrices with their components last again: `(3, 3, *batch) -> (*batch, 3, 3)`."""
    return m.movedim((0, 1), (-2, -1)).contiguous()


def product(a: Tensor, b: Tensor) -> Tensor:
    """The matrix product, as the sum of three products of a column and a row."""
    (a1, a2, a3), (b1, b2, b3) = a.unsqueeze(2).unbind(1), b.unsqueeze(0).unbind(1)
    return torch.addcmul(torch.addcmul(a1 * b1, a2, b2), a3, b3)


def hat(w: Tensor) -> Tensor:
    """The skew matrix `[w]` with `[w] z = w × z`."""
    return (_HAT.to(w) @ w.reshape(3, -1)).reshape(3, 3, *w.shape[1:])


def axial(m: Tensor) -> Tensor:
    """The w with `[w] = m - mᵀ`; for a skew matrix twice its vector."""
    return (_AXIAL.to(m) @ m.reshape(9, -1)).reshape(3, *m.shape[2:])


def quaternion(difference: Tensor) -> tuple[Tensor, Tensor]:
    """The quaternion, w >= 0, of the rotation `R = 1 + difference`.

    It is the row of 4 q qᵀ with the largest diagonal entry, which is at least 1 (Shepperd, "Quaternion from rotation
    matrix", Journal of Guidance and Control 1, 1978): an absolute error of a few roundings at every angle. Near the
    identity v is what the difference holds, so there it keeps the relative precision that the difference has.
    """
    flat = torch.addmm(_OF_IDENTITY.to(difference), _QUADRATIC.to(difference), difference.reshape(9, -1))
    table = flat.reshape(4, 4, *difference.shape[2:])
    a, b, c, d = table.detach().diagonal().unbind(-1)
    rows = table.unbind()
    first = torch.lerp(rows[1], rows[0], (a >= b).to(a.dtype))  # one or the other, exactly, and faster than `where`
    other = torch.lerp(rows[3], rows[2], (c >= d).to(a.dtype))
    row = torch.lerp(other, first, (torch.maximum(a, b) >= torch.maximum(c, d)).to(a.dtype))
    w, v = (row * (1 - 2 * (row.detach()[0] < 0).to(a.dtype))).split((1, 3))
    return w.squeeze(0), v


def angle_over_length(w: Tensor, v: Tensor) -> Tensor:
    """The factor θ/|v| that makes v of a quaternion with w >= 0 the rotation vector: `(*batch)`.

    It is 2 atan(√u)/√u / w with u = |v|²/w², an analytic function of v at 0.
    """
    s = v.square().sum(0)
    small = s < _SMALL_SQUARE * w * w
    if not possibly_any(small):
        r = s.sqrt()
        return 2 * torch.atan2(r, w) / r
    w0 = torch.where(small, w, 1.0)
    u = torch.where(small, s, 0.0) / (w0 * w0)
    r = torch.where(small, 1.0, s).sqrt()
    series = (1 - u * (1 / 3 - u * (1 / 5 - u / 7))) / w0
    return 2 * torch.where(small, series, torch.atan2(r, w) / r)


def to_matrix(w: Tensor, v: Tensor) -> Tensor:
    """The rotation matrix `1 + 2 (w [v] + [v]²) / (w² + |v|²)` of a quaternion."""
    factor = 2 / (v.square().sum(0) + w * w)
    m = hat(v)
    return torch.addcmul(identity_like(m), factor, torch.addcmul(product(m, m), w, m))


def half_rotation(w: Tensor, v: Tensor) -> Tensor:
    """The matrix of half the rotation of a quaternion with w >= 0."""
    return to_matrix(w + (v.square().sum(0) + w * w).sqrt(), v)


def identity_like(m: Tensor) -> Tensor:
    """The unit matrix, for a batch like that of `m`."""
    return torch.eye(3, dtype=m.dtype, device=m.device).reshape(3, 3, *(1 for _ in m.shape[2:]))


def nearest(a: Tensor) -> Tensor:
    """The rotation R nearest to a matrix, the one of its polar decomposition where its determinant is positive.

    Near rotations R is reached by Newton–Schulz steps (Higham, "Functions of Matrices", 2008, section 8.3). Elsewhere
    it comes from singular values, whose derivative would be 0/0 where two agree: so a Newton step follows, which
    changes no digit of R but gives it its derivatives.
    """
    values = a.detach()
    gap = (product(values.transpose(0, 1), values) - identity_like(a)).abs().amax((0, 1))
    if possibly_any((gap > _CLOSE) | (_determinant(values) < 0)):
        return _polish(*_by_singular_values(a))
    for _ in range(_NEWTON_STEPS):
        a = torch.sub(1.5 * a, product(a, product(a.transpose(0, 1), a)), alpha=0.5)
    return a


def _determinant(a: Tensor) -> Tensor:
    return (a[0] * torch.linalg.cross(a[1], a[2], dim=0)).sum(0)


def _by_singular_values(a: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest rotation U diag(1, 1, ±1) Vᵀ without derivatives, and `a` over its largest singular value."""
    values = assemble(a.detach())
    u, s, vh = torch.linalg.svd(torch.where(values.isfinite(), values, 0.0))
    sign = torch.linalg.det(u @ vh).sign()
    last = torch.cat([torch.ones_like(vh[..., :2, :]), sign[..., None, None].expand_as(vh[..., :1, :])], -2)
    (rotation,) = components(u @ (last * vh))
    largest = s[..., 0]
    return rotation, a / (largest + (largest == 0))


def _polish(r: Tensor, a: Tensor) -> Tensor:
    """A Newton step for `a = R S`, S symmetric, from the solution R: it adds its first two derivatives.

    With R = r exp[ω], m = rᵀa and s = (m + mᵀ)/2 it is m - mᵀ = [ω] s + s [ω] = [(tr s - s) ω] up to terms of third
    order in ω: those of second order, ½ ([ω]² S - S [ω]²), agree because s is not S but what m has of it.
    """
    m = product(r.transpose(0, 1), a)
    s = (m + m.transpose(0, 1)) / 2
    g = s.diagonal().sum(-1) * identity_like(s) - s
    adjugate = torch.linalg.cross(g.roll(-1, 0), g.roll(-2, 0), dim=1)
    determinant = (g[0] * adjugate[0]).sum(0)
    unique = determinant > 8 * torch.finfo(a.dtype).eps  # else, of several nearest rotations, this one stays
    step = (adjugate * axial(m)).sum(1) * unique / torch.where(unique, determinant, 1.0)
    return product(r, to_matrix(torch.ones_like(determinant), step / 2))
