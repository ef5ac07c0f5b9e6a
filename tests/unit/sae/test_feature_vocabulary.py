from __future__ import annotations

from mistudio_sae.bundled import bundled_model
from mistudio_sae.features.vocabulary import token_texts
from mistudio_sae.models import load_model


def test_texts_are_plain_and_lone_bytes_are_escaped() -> None:
    lm = load_model(bundled_model("pydocs-gpt2-6l"))
    texts = token_texts(lm)
    assert len(texts) == lm.vocab_size
    ids = lm.tokenizer("the \u2018with\u2019 statement")["input_ids"]
    shown = "".join(texts[index] for index in ids)
    assert shown.replace(r"\xe2\x80\x98", "\u2018") == "the \u2018with\u2019 statement"
    assert not any("Ġ" in text for text in texts)
