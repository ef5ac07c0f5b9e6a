"""The text of every token id."""

from __future__ import annotations

from functools import cache

from mistudio_sae.models import LanguageModel

_REPLACEMENT = "\ufffd"


def token_texts(lm: LanguageModel) -> list[str]:
    r"""Text of each id that the model embeds; bytes that are no text by themselves are escaped, as in " \xe2\x80"."""
    tokenizer = lm.tokenizer
    count = min(len(tokenizer), lm.vocab_size)
    spelled = tokenizer.convert_ids_to_tokens(list(range(count)))
    texts = [str(tokenizer.decode([index], clean_up_tokenization_spaces=False)) for index in range(count)]
    known = [
        _escaped(str(spelling)) if _REPLACEMENT in text or text == "" else text
        for text, spelling in zip(texts, spelled, strict=True)
    ]
    return known + [f"<{index}>" for index in range(count, lm.vocab_size)]


def _escaped(spelling: str) -> str:
    """Byte-level BPE spells each byte as one printable character; any other tokenizer's spelling is kept."""
    alphabet = _byte_level_alphabet()
    if not spelling or any(character not in alphabet for character in spelling):
        return spelling
    return bytes(alphabet[character] for character in spelling).decode(errors="backslashreplace")


@cache
def _byte_level_alphabet() -> dict[str, int]:
    """Character to byte, as GPT-2 defined it: printable Latin-1 stands for itself, the rest follows from U+0100 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}
