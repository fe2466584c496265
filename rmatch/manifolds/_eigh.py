"""Eigenvalues and -vectors of many small symmetric matrices.

LAPACK takes them one at a time, in a microsecond for a 3 × 3 matrix. In memory a batch of these goes through one
formula instead, in a third of the time and less, and with smaller errors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

import rmatch._arrays as xp
from rmatch.manifolds._backward import is_transformed

_CHUNK = 1 << 11  # matrices that stay in the cache together
_LEAST, _MOST = 1e-140, 1e140  # squares, of which the squares neither vanish nor overflow; less is taken for zero


def eigh(a: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues `(*batch, n)`, in no order, and eigenvectors `(*batch, n, n)`, as constants."""
    a = a.detach()
    if a.shape[-1] == 3 and not is_transformed():
        arrays = xp.arrays_of((a.reshape(-1, 9),), at_any_size=True)
        try:
            if arrays is not None:
                values, vectors = xp.to_tensors(_eigh_in_chunks(arrays[0]))
                return values.reshape(a.shape[:-1]), vectors.reshape(a.shape)
        except xp.NotOrdinary:
            pass
    values, vectors = torch.linalg.eigh(a)
    return values, vectors


def eigvalsh(a: Tensor) -> Tensor:
    """The eigenvalues alone, as constants."""
    return eigh(a)[0] if a.shape[-1] == 3 else torch.linalg.eigvalsh(a.detach())


def _eigh_in_chunks(a: Any) -> tuple[Tensor, ...]:
    values: Any = np.empty((len(a), 3), a.dtype)
    vectors: Any = np.empty((len(a), 3, 3), a.dtype)
    for start in range(0, len(a), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        found = _eigh_of_three(a[chunk].T.astype(np.float64, order="C"))
        for k, (value, vector) in enumerate(found):
            values[chunk, k] = value
            for i in range(3):
                vectors[chunk, i, k] = vector[i]
    return values, vectors


@xp.quietly
def _eigh_of_three(a: Any) -> list[tuple[Any, Any]]:
    """The eigenvalues `(batch)` and vectors `(3, batch)` of matrices of which each entry is a row: `(9, batch)`.

    Off the mean of its eigenvalues a matrix b has the eigenvalues `2 p cos(φ + 2πk/3)` with p² = tr b² / 6 and
    cos 3φ = det b / 2p³ (Smith, "Eigenvalues of a symmetric 3 × 3 matrix", CACM 1961). The one on the side of the sign
    of det b is at least √3 p away from the others: it and its vector, the longest column of the adjugate of b - β, are
    accurate. What is left is turned to diagonal form in the plane across, which is accurate however close its
    eigenvalues are.
    """
    (b0, b1, b2), (z, y, x) = a[[0, 4, 8]], a[[3, 6, 7]]
    xx, yy, zz, xy, xz, yz = x * x, y * y, z * z, x * y, x * z, y * z
    mean = (b0 + b1 + b2) / 3
    b0, b1, b2 = b0 - mean, b1 - mean, b2 - mean
    square = (b0 * b0 + b1 * b1 + b2 * b2 + 2 * (xx + yy + zz)) / 6
    least, most = xp.ends(square)
    if not most <= _MOST:
        raise xp.NotOrdinary
    nothing = square < _LEAST if least < _LEAST else None
    square = np.maximum(square, _LEAST)
    p = np.sqrt(square)
    det = b0 * (b1 * b2 - xx) - b1 * yy - b2 * zz + 2 * (xy * z)
    half = det / (2 * square * p)
    beta = np.copysign(2 * p * np.cos(np.arccos(np.minimum(abs(half), 1)) / 3), half)
    u = _null_vector(b0 - beta, b1 - beta, b2 - beta, x, y, z, (xx, yy, zz, xy, xz, yz))
    v, w = _complement(*u)
    image = (b0 * v[0] + z * v[1] + y * v[2], z * v[0] + b1 * v[1] + x * v[2], y * v[0] + x * v[1] + b2 * v[2])
    both, lean = _dot(w, image), _dot(v, image) + beta / 2  # the trace of b on the plane is -β
    turn, radius = np.arctan2(both, lean) / 2, np.sqrt(lean * lean + both * both)
    if nothing is not None:
        beta[nothing] = radius[nothing] = 0
    cosine, sine = np.cos(turn), np.sin(turn)
    high = [cosine * i + sine * j for i, j in zip(v, w, strict=True)]
    low = [cosine * j - sine * i for i, j in zip(v, w, strict=True)]
    centre = mean - beta / 2
    return [(mean + beta, u), (centre + radius, high), (centre - radius, low)]


def _null_vector(b0: Any, b1: Any, b2: Any, x: Any, y: Any, z: Any, products: tuple[Any, ...]) -> list[Any]:
    """The unit vector u in the kernel of matrices of rank 2 with these diagonals and, off it, entries 12, 02 and 01."""
    xx, yy, zz, xy, xz, yz = products
    c00, c11, c22 = b1 * b2 - xx, b0 * b2 - yy, b0 * b1 - zz  # the adjugate c u uᵀ, c > 0
    c01, c02, c12 = xy - z * b2, xz - y * b1, yz - x * b0
    longest = [c00.copy(), c01.copy(), c02.copy()]
    for square, column in ((c11, (c01, c11, c12)), (c22, (c02, c12, c22))):
        longer = square > np.maximum(c00, c11) if square is c22 else square > c00
        for kept, entry in zip(longest, column, strict=True):
            np.copyto(kept, entry, where=longer)
    scale = 1 / np.sqrt(_dot(longest, longest))
    return [entry * scale for entry in longest]


def _complement(u0: Any, u1: Any, u2: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """An orthonormal basis of the plane across u (Duff et al., "Building an orthonormal basis, revisited", 2017)."""
    sign = np.copysign(1.0, u2)
    scale = -1 / (sign + u2)
    product = u0 * u1 * scale
    return (1 + sign * (u0 * u0 * scale), sign * product, -sign * u0), (product, sign + u1 * u1 * scale, -u1)


def _dot(u: Any, v: Any) -> Any:
    return u[0] * v[0] + u[1] * v[1] + u[2] * v[2]
