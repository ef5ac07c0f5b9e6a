"""The peers' own environments: each library wants versions of its own."""

from __future__ import annotations

import subprocess
import sys
import venv

from bench.program import ROOT

_TORCH = "torch>=2.6,<=2.13.0"
PACKAGES = {
    "saelens": (".venv-peers", ("sae-lens==6.54.12",)),
    "sparsify": (".venv-sparsify", ("eai-sparsify==1.3.3",)),
    "dictionary_learning": (".venv-dictionary-learning", ("dictionary-learning==0.1.0", "transformers<5")),
}
"""Peer to the folder of its environment and what is installed there, after torch."""


class PeerMissingError(Exception):
    """A peer cannot be set up; the message says why."""


def python_of(peer: str) -> str:
    """Returns the interpreter of a peer's environment, made and filled if need be. Raises PeerMissingError."""
    folder, packages = ROOT / PACKAGES[peer][0], PACKAGES[peer][1]
    python, done = folder / "bin" / "python", folder / ".installed"
    if not done.exists():
        print(f"installing {', '.join(packages)} into {folder.name} (once, some minutes)", file=sys.stderr)
        venv.create(folder, with_pip=True)
        for wanted in ((_TORCH,), packages):  # torch first: its range keeps the small build where there is no GPU
            _install(str(python), wanted)
        done.touch()
    return str(python)


def _install(python: str, packages: tuple[str, ...]) -> None:
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
    ended = subprocess.run(pip, check=False, capture_output=True, text=True)
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise PeerMissingError(f"{', '.join(packages)} cannot be installed: {last}")
