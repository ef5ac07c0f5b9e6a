"""The graphics processors that a process may use, as NVIDIA's management library knows them: no CUDA is started."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import pynvml

from mistudio import v1

_PCI = Path("/sys/bus/pci/devices")
_NVIDIA, _DISPLAY = "0x10de", "0x03"


def devices(environment: Mapping[str, str] = os.environ) -> list[v1.Device]:
    """Returns the processors that CUDA_VISIBLE_DEVICES leaves; none without a driver.

    Numbered in the order of the bus, as CUDA does where all are of one model.
    """
    try:
        with _library():
            return [_device(number, handle) for number, handle in enumerate(_visible(environment))]
    except pynvml.NVMLError:
        return []


def memory_held(processes: Collection[int]) -> int:
    """Returns the memory of graphics processors that processes hold, in bytes.

    0 if they hold none or the driver does not tell; in a container it knows them by other numbers.
    """
    try:
        with _library():
            holders = [one for handle in _visible(os.environ) for one in _holders(handle)]
    except pynvml.NVMLError:
        return 0
    return sum(one.usedGpuMemory or 0 for one in holders if one.pid in processes)


def device_problem() -> str:
    """Says why the processors of this machine cannot be used although it has some; empty otherwise."""
    try:
        with _library():
            has_driver, count = True, pynvml.nvmlDeviceGetCount()
    except pynvml.NVMLError_LibraryNotFound:
        has_driver, count = False, 0
    except pynvml.NVMLError as error:
        return f"the NVIDIA driver does not answer ({error})" if _on_the_bus() else ""
    if not has_driver:
        return "there is an NVIDIA processor, but no driver for it" if _on_the_bus() else ""
    return torch_problem(torch_version()) if count else ""


def torch_version() -> str:
    """Returns the version of the torch that is installed, e.g. "2.13.0+cpu"; empty if there is none."""
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return ""


def torch_problem(version: str) -> str:
    """Says why a torch of this version cannot use an NVIDIA processor; empty if it can, or if there is none."""
    build = version.partition("+")[2]
    return f"the installed torch {version} is not built for CUDA" if build and not build.startswith("cu") else ""


@contextmanager
def _library() -> Iterator[None]:
    pynvml.nvmlInit()
    try:
        yield
    finally:
        pynvml.nvmlShutdown()


def _visible(environment: Mapping[str, str]) -> Sequence[object]:
    handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    names = [(str(index), pynvml.nvmlDeviceGetUUID(handle)) for index, handle in enumerate(handles)]
    return [handles[index] for index in visible(names, environment.get("CUDA_VISIBLE_DEVICES"))]


def _holders(handle: object) -> Sequence[Any]:
    holders: Sequence[Any] = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    return holders


def visible(names: Sequence[tuple[str, str]], chosen: str | None) -> list[int]:
    """Returns the places of the processors that CUDA_VISIBLE_DEVICES names by number or beginning of their UUID.

    As CUDA reads it: the first name that fits none ends the list.
    """
    if chosen is None:
        return list(range(len(names)))
    places = []
    for name in (part.strip() for part in chosen.split(",")):
        fits = [place for place, (number, uuid) in enumerate(names) if name == number or _begins(uuid, name)]
        if not fits:
            break
        places += [fits[0]]
    return places


def _begins(uuid: str, name: str) -> bool:
    return name.startswith("GPU-") and uuid.startswith(name)


def _device(number: int, handle: object) -> v1.Device:
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return v1.Device(
        name=f"cuda:{number}",
        model=pynvml.nvmlDeviceGetName(handle),
        total_memory_bytes=memory.total,
        free_memory_bytes=memory.free,
        uuid=pynvml.nvmlDeviceGetUUID(handle),
    )


def _on_the_bus() -> bool:
    return any(_read(one / "vendor") == _NVIDIA and _read(one / "class").startswith(_DISPLAY) for one in _listed(_PCI))


def _listed(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:
        return ""
