"""The bundled model loads offline and predicts its own kind of text."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mistudio_sae.bundled import UnknownBundledModelError, bundled_model, bundled_models

MAX_BYTES = 12_000_000
TEXT = (
    "Return a list of the names of the files in the directory given by path. "
    "If the optional argument is not given, the default value is None.\n\n"
    "def __init__(self, *args, **kwargs):\n    Initialize self."
)


@pytest.fixture(params=sorted(bundled_models()))
def folder(request: pytest.FixtureRequest) -> Path:
    """Each bundled model's folder in turn."""
    return bundled_model(request.param)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection."""

    def refuse(*arguments: object) -> None:
        raise AssertionError(f"a bundled model must load offline, but something asked {arguments}")

    monkeypatch.setattr("socket.socket.connect", refuse)


def test_there_is_a_model() -> None:
    assert "pydocs-gpt2-6l" in bundled_models()


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownBundledModelError, match=r"choose one of: .*pydocs-gpt2-6l"):
        bundled_model("gpt-5")


def test_the_mapping_is_read_only() -> None:
    with pytest.raises(TypeError):
        bundled_models()["mine"] = Path()  # type: ignore[index]


def test_it_is_small_and_complete(folder: Path) -> None:
    files = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert sum(files.values()) <= MAX_BYTES
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= set(files)


@pytest.mark.usefixtures("offline")
def test_any_text_round_trips(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    text = "  naïve 日本\n\tdef f(x):\n"
    assert tokenizer.is_fast
    assert tokenizer.bos_token_id == tokenizer.eos_token_id == 0
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


@pytest.mark.usefixtures("offline")
def test_it_predicts_documentation(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer(TEXT)["input_ids"]]])
    with torch.no_grad():
        result = model(ids, labels=ids)
    assert model.dtype == torch.float32
    assert torch.isfinite(result.logits).all()
    assert result.loss < 0.5 * math.log(len(tokenizer))


def test_listing_models_does_not_import_torch() -> None:
    code = "import sys, mistudio_sae.bundled as b; b.bundled_models(); sys.exit('torch' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", code], check=False)
    assert finished.returncode == 0
