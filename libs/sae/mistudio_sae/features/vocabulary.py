"""The text of every token id."""

from __future__ import annotations

from mistudio_sae.models import LanguageModel

_REPLACEMENT = "\ufffd"


def token_texts(lm: LanguageModel) -> list[str]:
    """Text of each id that the model embeds; bytes that are no text by themselves keep the tokenizer's own spelling."""
    tokenizer = lm.tokenizer
    count = min(len(tokenizer), lm.vocab_size)
    spelled = tokenizer.convert_ids_to_tokens(list(range(count)))
    texts = [str(tokenizer.decode([index], clean_up_tokenization_spaces=False)) for index in range(count)]
    known = [
        str(spelling) if _REPLACEMENT in text or text == "" else text
        for text, spelling in zip(texts, spelled, strict=True)
    ]
    return known + [f"<{index}>" for index in range(count, lm.vocab_size)]
