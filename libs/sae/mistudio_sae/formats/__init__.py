"""SAEs on disk: the SAELens layout, which is ours too, and sparsify's."""

from mistudio_sae.formats.provenance import LoadedSae, SaeProvenance
from mistudio_sae.formats.saelens import load_saelens, save_saelens
from mistudio_sae.formats.sparsify import load_sparsify, save_sparsify

__all__ = ["LoadedSae", "SaeProvenance", "load_saelens", "load_sparsify", "save_saelens", "save_sparsify"]
