"""Whether tokens and a language model belong together."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from tiny import BOS, CONTEXT, VOCAB, language_model
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from mistudio_sae.errors import TokensFormatError
from mistudio_sae.fit import check_split_fits_model
from mistudio_sae.models import LanguageModel
from mistudio_sae.tokens import TokensReader, TokensWriter

IDS = VOCAB - 1


def model_with_a_gap_in_its_vocabulary() -> LanguageModel:
    """Its tokenizer has two tokens fewer than the model embeds, of which one leaves a gap below the largest id."""
    vocabulary = {f"w{i}": i for i in range(1, IDS) if i != 7} | {"<bos>": BOS}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<bos>"))
    return dataclasses.replace(language_model(), tokenizer=PreTrainedTokenizerFast(tokenizer_object=backend))


def tokens(folder: Path, **options: int) -> TokensReader:
    settings = {"context_length": CONTEXT, "vocab_size": IDS} | options
    with TokensWriter(folder, tokenizer="tiny", **settings) as writer:  # type: ignore[arg-type]
        writer.add_document([1] * 4 * settings["context_length"], 0)
    return TokensReader.open(folder)


@pytest.mark.parametrize("vocab_size", [IDS - 1, IDS, VOCAB])
def test_tokens_fit_by_tokens_ids_or_embeddings(tmp_path: Path, vocab_size: int) -> None:
    lm = model_with_a_gap_in_its_vocabulary()
    assert (len(lm.tokenizer), lm.vocab_size) == (IDS - 1, VOCAB)
    check_split_fits_model(lm, tokens(tmp_path, vocab_size=vocab_size), "train")


@pytest.mark.parametrize(
    ("options", "split", "message"),
    [
        ({"vocab_size": IDS - 2}, "train", "tokenize with the tokenizer of this model"),
        ({"vocab_size": VOCAB + 1}, "train", "tokenize with the tokenizer of this model"),
        ({"context_length": 65}, "train", "shorter context length"),
        ({}, "validation", "no split"),
    ],
)
def test_misfits_are_refused(tmp_path: Path, options: dict[str, int], split: str, message: str) -> None:
    with pytest.raises(TokensFormatError, match=message):
        check_split_fits_model(model_with_a_gap_in_its_vocabulary(), tokens(tmp_path, **options), split)
