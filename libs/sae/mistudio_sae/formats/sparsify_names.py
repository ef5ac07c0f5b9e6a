"""Hook points and sparsify's folders, which are named after modules whose output is reconstructed."""

from __future__ import annotations

import re

from mistudio_sae.models import HookPoint

_FOLDER = re.compile(r"(?:h|layers)\.(\d+)(\.mlp)?")


def sparsify_folder(hook_point: str, *, transcodes: bool) -> str:
    """Return the folder of a hook point; one that is no layer's or MLP's output keeps its own name.

    A transcoder's is that of its MLP. GPT-2 calls its layers `h`, but a folder named `layers` says the same.
    """
    hook = HookPoint.parse(hook_point)
    if transcodes or hook.kind == "mlp_out":
        return f"layers.{hook.layer}.mlp"
    return f"layers.{hook.layer}" if hook.kind == "resid_post" else hook_point


def hook_point_of_folder(folder: str, *, transcodes: bool) -> str:
    """Return what an SAE in such a folder reads: a transcoder the MLP's input; an unknown name stays as it is."""
    found = _FOLDER.fullmatch(folder)
    if found is None:
        return folder
    kind = "mlp_in" if transcodes and found[2] else "mlp_out" if found[2] else "resid_post"
    return f"layer.{found[1]}.{kind}"
