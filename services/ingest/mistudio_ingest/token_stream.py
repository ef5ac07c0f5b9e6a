"""Texts into token ids, many at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from transformers import PreTrainedTokenizerFast

from mistudio_ingest.dataset_texts import Text
from mistudio_ingest.packing import Packing


class TokenStream:
    """Encodes documents with the tokenizer's own batch call and counts what goes through."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, plan: Packing) -> None:
        """Takes the tokenizer, whose own truncation and padding are turned off, and how to pack."""
        self._backend = tokenizer.backend_tokenizer
        # A tokenizer.json may carry both, and would then cut documents or fill them up without a word.
        self._backend.no_truncation()
        self._backend.no_padding()
        self.plan = plan
        self.rows = 0
        """Rows looked at."""
        self.tokens = 0
        """Tokens given out, separators included."""
        self.empty = 0
        """Rows without a token in them."""

    @property
    def full(self) -> bool:
        """Whether as many tokens are given out as were asked for."""
        return 0 < self.plan.max_tokens <= self.tokens

    def encode(self, texts: Sequence[Text]) -> Iterator[tuple[int, list[int], str]]:
        """Yields (row number, ids that end with the separator, split) of each document until the stream is full."""
        encodings = self._backend.encode_batch_fast([text for _, text in texts], add_special_tokens=False)
        for (row, text), encoding in zip(texts, encodings, strict=True):
            if self.full:
                return
            self.rows += 1
            ids = encoding.ids
            if not ids:
                self.empty += 1
                continue
            ids += self.plan.separator
            if self.plan.max_tokens:
                ids = ids[: self.plan.max_tokens - self.tokens]
            self.tokens += len(ids)
            yield row, ids, self.plan.split_of(text)
