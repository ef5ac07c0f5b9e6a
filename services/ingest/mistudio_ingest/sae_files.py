"""SAEs in foreign folders."""

from __future__ import annotations

from pathlib import Path

from mistudio.v1 import SaeFormat
from mistudio_runtime.jobs import PermanentFailure
from mistudio_sae.formats import LoadedSae, load_saelens, load_sparsify

_WEIGHTS = {
    SaeFormat.SAE_FORMAT_SAELENS: "sae_weights.safetensors",
    SaeFormat.SAE_FORMAT_SPARSIFY: "sae.safetensors",
}


def load_sae(folder: Path, layout: SaeFormat.ValueType) -> LoadedSae:
    """Loads an SAE in the layout that is named, or that its files show.

    Raises PermanentFailure if there is none, and SaeFormatError if it is damaged.
    """
    if not folder.is_dir():
        raise PermanentFailure(f"{folder.name} is no folder on the ingest service's machine")
    found = layout or next((known for known, file in _WEIGHTS.items() if (folder / file).is_file()), None)
    if found is None:
        raise PermanentFailure(
            f"{folder.name} holds no SAE; give a folder with cfg.json and {' or '.join(_WEIGHTS.values())}",
            reason="NO_SAE",
        )
    return load_sparsify(folder) if found == SaeFormat.SAE_FORMAT_SPARSIFY else load_saelens(folder)
