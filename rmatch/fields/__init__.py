"""Vector fields: what one is, the default network, and the features it sees."""

from rmatch.fields._frequencies import FeatureChoice, choose_features
from rmatch.fields.base import VectorField
from rmatch.fields.features import FourierFeatures, Harmonics, TimeFeatures
from rmatch.fields.tangent_mlp import TangentMLP

__all__ = [
    "FeatureChoice",
    "FourierFeatures",
    "Harmonics",
    "TangentMLP",
    "TimeFeatures",
    "VectorField",
    "choose_features",
]
