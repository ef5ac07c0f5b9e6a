"""What the latents of an SAE respond to: extraction into a folder of Parquet files, and reading it back."""

from mistudio_sae.features.config import FeatureConfig
from mistudio_sae.features.errors import FeatureStoreError, LatentNotFoundError
from mistudio_sae.features.extract import extract_features
from mistudio_sae.features.feature import Example, Feature, FeatureBrief, FeatureRow, Neighbour, TokenMatch, TokenWeight
from mistudio_sae.features.filters import FeatureFilter
from mistudio_sae.features.store import FeatureStore
from mistudio_sae.features.summary import FeatureSummary

__all__ = [
    "Example",
    "Feature",
    "FeatureBrief",
    "FeatureConfig",
    "FeatureFilter",
    "FeatureRow",
    "FeatureStore",
    "FeatureStoreError",
    "FeatureSummary",
    "LatentNotFoundError",
    "Neighbour",
    "TokenMatch",
    "TokenWeight",
    "extract_features",
]
