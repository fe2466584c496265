"""Pictures of densities on the sphere and the torus, and of the data beside them."""

from __future__ import annotations

from rmatch.plotting._figure import save_figure
from rmatch.plotting.density import plot_density
from rmatch.plotting.sphere import plot_sphere
from rmatch.plotting.torus import plot_torus

__all__ = ["plot_density", "plot_sphere", "plot_torus", "save_figure"]
