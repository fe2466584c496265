"""Backbone angles of proteins: real points on the torus."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from rmatch._errors import DataError, DependencyError
from rmatch.datasets.base import Dataset, DatasetInfo
from rmatch.datasets.coordinates import Angles
from rmatch.manifolds import Torus

_SOURCE = "MDAnalysis, analysis/data/rama_ref_data.npy, https://www.mdanalysis.org"
_LICENCE = "LGPL-3.0-or-later"
_BINS, _WIDTH = 90, 4.0
_ROWS = 100816


def load_ramachandran(*, seed: int = 0) -> Dataset:
    """The backbone angles φ and ψ of 100,816 residues of 500 proteins, on T².

    The package has counts in bins of 4° × 4°, axis 0 for ψ and axis 1 for φ, both from -180°. Each count becomes a
    point that is uniform in its bin.

    Args:
        seed: Of the places within the bins.

    Returns:
        The data set, columns `phi` and `psi` in degrees, ordered by bin.

    Raises:
        DependencyError: MDAnalysis is not installed. (It is not imported: only its data file is read.)
        DataError: The file is not what it was.

    Source: `MDAnalysis.analysis.data.filenames.Rama_ref`, made by H. Mull (2018) from the structures of S. C. Lovell
        et al., Proteins 50 (2003), 437-450.
    """
    path = _path()
    if path is None:
        raise DependencyError('the Ramachandran counts come with MDAnalysis: pip install "rmatch[examples]"')
    counts = _counts(path)
    psi_bin, phi_bin = np.nonzero(counts)
    repeats = counts[psi_bin, phi_bin]
    corners = np.repeat(np.stack([phi_bin, psi_bin], axis=-1), repeats, axis=0)
    generator = torch.Generator().manual_seed(seed)
    jitter = torch.rand(corners.shape, generator=generator, dtype=torch.float64).numpy()
    coordinates = Angles(Torus(2), ("phi", "psi"), "degrees")
    points = coordinates.to_points(-180.0 + _WIDTH * (corners + jitter))
    return Dataset("ramachandran", Torus(2), points, coordinates, source=_SOURCE, licence=_LICENCE)


def ramachandran_info() -> DatasetInfo:
    """What `load("ramachandran")` gives; counted when the package is installed."""
    path = _path()
    rows = _ROWS if path is None else int(_counts(path).sum())
    text = "backbone angles phi and psi of 500 proteins, counts in bins of 4 degrees spread evenly in their bins"
    return DatasetInfo("ramachandran", Torus(2), rows, _SOURCE, _LICENCE, text)


def _path() -> Path | None:
    """The file with the counts, found without importing MDAnalysis, which takes a second and much memory."""
    spec = importlib.util.find_spec("MDAnalysis")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "analysis" / "data" / "rama_ref_data.npy"
        if path.is_file():
            return path
    return None


def _counts(path: Path) -> npt.NDArray[np.int64]:
    """The counts, checked: 90 × 90 whole numbers that are not negative."""
    counts: npt.NDArray[np.float64] = np.load(path, allow_pickle=False)
    if counts.shape != (_BINS, _BINS) or (counts < 0).any() or (counts != np.floor(counts)).any():
        raise DataError(f"{path} no longer holds 90 x 90 counts; rmatch knows the file of MDAnalysis 2.7 to 2.11")
    return counts.astype(np.int64)
