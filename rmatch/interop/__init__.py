"""Speaking with the neighbours: manifolds of geoopt and geomstats as ours, and ours as geoopt's."""

from rmatch.interop._geomstats import from_geomstats, import_geomstats
from rmatch.interop._geoopt import from_geoopt, to_geoopt

__all__ = [
    "from_geomstats",
    "from_geoopt",
    "import_geomstats",
    "to_geoopt",
]
