"""What can be wrong with stored features."""

from mistudio_sae.errors import ScienceError


class FeatureStoreError(ScienceError):
    """A features folder that is missing, damaged or of another version."""


class LatentNotFoundError(ScienceError):
    """A latent that was not extracted."""
