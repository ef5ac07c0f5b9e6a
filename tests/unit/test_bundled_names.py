"""The names that the gateway checks are those of what is there."""

from __future__ import annotations

from mistudio_ingest.bundled_text import PYTHON_TOPICS
from mistudio_runtime.bundled import BUNDLED_DATASETS, BUNDLED_MODELS
from mistudio_sae.bundled import bundled_models


def test_the_gateway_knows_the_bundled_datasets() -> None:
    assert BUNDLED_DATASETS == (PYTHON_TOPICS,)


def test_the_gateway_knows_the_bundled_models() -> None:
    assert tuple(bundled_models()) == BUNDLED_MODELS
