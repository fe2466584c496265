"""Pictures of densities on every manifold, and of the data beside them."""

from __future__ import annotations

from rmatch.plotting._figure import save_figure, stack_figures
from rmatch.plotting.comparison import Entry, plot_comparison
from rmatch.plotting.density import plot_density, shows_density
from rmatch.plotting.hyperbolic import plot_hyperbolic
from rmatch.plotting.product import plot_coordinates, plot_product
from rmatch.plotting.rotations import plot_rotations
from rmatch.plotting.spd import plot_spd
from rmatch.plotting.sphere import plot_sphere
from rmatch.plotting.torus import plot_torus

__all__ = [
    "Entry",
    "plot_comparison",
    "plot_coordinates",
    "plot_density",
    "plot_hyperbolic",
    "plot_product",
    "plot_rotations",
    "plot_spd",
    "plot_sphere",
    "plot_torus",
    "save_figure",
    "shows_density",
    "stack_figures",
]
