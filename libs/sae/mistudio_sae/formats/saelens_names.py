"""Hook points between our names and SAELens' (which are TransformerLens' where those exist)."""

from __future__ import annotations

import re

from mistudio_sae.models.hook_points import KINDS, HookPoint


def saelens_hook_name(hook_point: str) -> str:
    """SAELens' name of one of our hook points; raises `HookPointError` when it is not one."""
    return HookPoint.parse(hook_point).transformer_lens_name()


def hook_point_name(hook_name: str) -> str:
    """Our name of a SAELens hook; a name that has no counterpart stays as it is."""
    layer = re.match(r"blocks\.(\d+)\.", hook_name)
    if layer:
        for kind in KINDS:
            name = f"layer.{layer[1]}.{kind}"
            if saelens_hook_name(name) == hook_name:
                return name
    return hook_name
