"""How a dataset becomes token blocks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast

from mistudio.v1 import TokenizeDataset
from mistudio_ingest.inputs import Input
from mistudio_runtime.jobs import PermanentFailure

DEFAULT_CONTEXT_LENGTH = 128
DEFAULT_VALIDATION_FRACTION = 0.05
_SHORTEST_CONTEXT = 2


@dataclass(frozen=True)
class Packing:
    """What a request asks for, with its defaults filled in and checked."""

    context_length: int
    """Tokens a block."""
    validation_fraction: float
    """Share of the documents that is held out."""
    max_tokens: int
    """Stop after so many tokens; 0 takes all."""
    prepend_bos: bool
    """Every block and every document begins with BOS."""
    bos: int | None
    eos: int | None

    @property
    def separator(self) -> list[int]:
        """What ends a document: EOS, unless the next one begins with the same token as its BOS."""
        if self.eos is None or (self.prepend_bos and self.eos == self.bos):
            return []
        return [self.eos]

    def split_of(self, text: str) -> str:
        """Returns a document's split: a function of its text alone, so that equal texts are never in both."""
        if self.validation_fraction == 0:
            return "train"
        digest = hashlib.sha256(text.encode("utf-8")).digest()
        return "validation" if int.from_bytes(digest[:8]) < self.validation_fraction * 2**64 else "train"


def packing(spec: TokenizeDataset, model: Input, tokenizer: PreTrainedTokenizerFast) -> Packing:
    """Returns the packing that a request asks for. Raises PermanentFailure naming the field that cannot be."""
    longest = int(model.manifest.summary.get("context_length") or 0)
    context_length = spec.context_length or min(DEFAULT_CONTEXT_LENGTH, longest or DEFAULT_CONTEXT_LENGTH)
    fraction = spec.validation_fraction if spec.HasField("validation_fraction") else DEFAULT_VALIDATION_FRACTION
    if longest and context_length > longest:
        raise PermanentFailure(
            f"context_length {context_length} is above the {longest} tokens of {model.name}; lower it"
        )
    if context_length < _SHORTEST_CONTEXT:
        raise PermanentFailure(f"context_length {context_length} is too short; give at least {_SHORTEST_CONTEXT}")
    if not 0 <= fraction < 1:
        raise PermanentFailure(f"validation_fraction {fraction} is no share; give a number from 0 to below 1")
    if spec.prepend_bos and tokenizer.bos_token_id is None:
        raise PermanentFailure(f"the tokenizer of {model.name} has no BOS token; set prepend_bos to false")
    return Packing(
        context_length, fraction, spec.max_tokens, spec.prepend_bos, tokenizer.bos_token_id, tokenizer.eos_token_id
    )
