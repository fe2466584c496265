"""Vector fields: what one is, the default network, and the features it sees."""

from rmatch.fields._frequencies import choose_frequencies
from rmatch.fields.base import VectorField
from rmatch.fields.features import FourierFeatures, TimeFeatures
from rmatch.fields.tangent_mlp import TangentMLP

__all__ = ["FourierFeatures", "TangentMLP", "TimeFeatures", "VectorField", "choose_frequencies"]
