"""Where computations run, and on how many processor cores."""

import os

import torch

from mistudio_sae.errors import ConfigError


def choose_device(wanted: str) -> str:
    """Return `wanted` ("cpu", "cuda" or "cuda:N") if this machine has it; "" takes the first GPU, else the CPU.

    Raises ConfigError naming the field `device` otherwise.
    """
    if wanted == "cpu":
        return wanted
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "":
        return "cuda:0" if available else "cpu"
    kind, _, index = wanted.partition(":")
    if kind != "cuda" or wanted.endswith(":") or not (index or "0").isdecimal():
        raise ConfigError("device", f'{wanted!r} is unknown; write "cpu", "cuda" or "cuda:N", or leave it empty.')
    number = int(index or 0)
    if number >= available:
        raise ConfigError("device", f'{wanted} is not on this machine, which has {_gpus(available)}; use "cpu".')
    return f"cuda:{number}"


def use_available_cores() -> int:
    """Let torch use the cores that this process may run on (or OMP_NUM_THREADS); returns their number.

    Without it torch counts the machine's cores, and in a container with a share of them its threads fight.
    """
    if os.environ.get("OMP_NUM_THREADS", "").isdecimal():
        return torch.get_num_threads()
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    torch.set_num_threads(cores)
    return cores


def _gpus(count: int) -> str:
    return "no GPU" if count == 0 else f"{count} GPU{'s' if count > 1 else ''}"
