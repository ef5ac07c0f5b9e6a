"""Reading the two kinds of file that every layout uses, with errors that name the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mistudio_sae.errors import ConfigError, SaeFormatError
from mistudio_sae.saes import Sae, SaeConfig, build_sae


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`; raises `SaeFormatError` if it is missing or not one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SaeFormatError(f"{path} is missing; give the folder that holds it.") from error
    except (OSError, ValueError) as error:
        raise SaeFormatError(f"{path} is not readable JSON ({error}); export the SAE again.") from error
    if not isinstance(content, dict):
        raise SaeFormatError(f"{path} must hold a JSON object; export the SAE again.")
    return content


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors in `path` as float32 on the CPU; raises `SaeFormatError` if they are unreadable or not finite."""
    try:
        tensors = load_file(path)
    except FileNotFoundError as error:
        raise SaeFormatError(f"{path} is missing; give the folder that holds it.") from error
    except (OSError, SafetensorError) as error:
        raise SaeFormatError(f"{path} is not a readable safetensors file ({error}); export the SAE again.") from error
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise SaeFormatError(f"{path}: {name} holds NaN or infinity; use an SAE whose training did not diverge.")
    return {name: tensor.float() for name, tensor in tensors.items()}


def integer(config: dict[str, Any], field: str, path: Path) -> int:
    """The positive integer `field` of a configuration; raises `SaeFormatError` otherwise."""
    value = config.get(field)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SaeFormatError(f"{path}: {field} must be a positive integer, not {value!r}.")
    return value


def check_shapes(tensors: dict[str, Tensor], expected: dict[str, tuple[int, ...]], path: Path) -> None:
    """Raise `SaeFormatError` unless `tensors` has exactly the expected names and shapes."""
    if set(tensors) != set(expected):
        raise SaeFormatError(f"{path} holds {sorted(tensors)} but {sorted(expected)} is needed for this architecture.")
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != shape:
            found = list(tensors[name].shape)
            raise SaeFormatError(f"{path}: {name} has shape {found} but cfg.json calls for {list(shape)}.")


def assemble(config: SaeConfig, tensors: dict[str, Tensor]) -> Sae:
    """An SAE of `config` with these parameters, frozen."""
    sae = build_sae(config, torch.Generator().manual_seed(0))
    sae.load_state_dict(tensors)
    return sae.eval().requires_grad_(requires_grad=False)


def sae_config(path: Path, **fields: Any) -> SaeConfig:
    """A `SaeConfig` of these fields; raises `SaeFormatError` naming the file when they contradict each other."""
    try:
        return SaeConfig(**fields)
    except (ConfigError, TypeError) as error:
        raise SaeFormatError(f"{path}: {error}") from error
