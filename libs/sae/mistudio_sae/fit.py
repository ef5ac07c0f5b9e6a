"""Whether tokens and a language model belong together."""

from mistudio_sae.errors import TokensFormatError
from mistudio_sae.models import LanguageModel
from mistudio_sae.tokens import TokensInfo, TokensReader


def check_split_fits_model(lm: LanguageModel, tokens: TokensReader, split: str) -> None:
    """Raise TokensFormatError when a split is absent or empty, and as `check_tokens_fit_model` does."""
    if len(tokens.blocks(split)) == 0:
        raise TokensFormatError(f"split {split!r} holds no blocks; tokenize more text or take a shorter context.")
    check_tokens_fit_model(lm, tokens.info)


def check_tokens_fit_model(lm: LanguageModel, tokens: TokensInfo) -> None:
    """Raise TokensFormatError when tokens were made with another tokenizer, or are longer than the model can read."""
    # A vocabulary with gaps has more ids than tokens, and an embedding may be padded beyond both.
    ids = 1 + max(lm.tokenizer.get_vocab().values())
    if tokens.vocab_size not in {len(lm.tokenizer), ids, lm.vocab_size}:
        raise TokensFormatError(
            f"the tokens were made by {tokens.tokenizer!r} with {tokens.vocab_size} ids, but this model has "
            f"{lm.vocab_size} and its tokenizer {ids}; tokenize with the tokenizer of this model."
        )
    if tokens.context_length > lm.context_length:
        raise TokensFormatError(
            f"blocks of {tokens.context_length} tokens are longer than the {lm.context_length} that this model reads; "
            "tokenize with a shorter context length."
        )
