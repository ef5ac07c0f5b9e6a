"""Writes a tokens artifact document by document."""

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from mistudio_sae.errors import TokensFormatError
from mistudio_sae.tokens.info import INFO_FILE, TokensInfo, dump_info, token_dtype
from mistudio_sae.tokens.packer import SplitPacker

_SHARD_TOKENS = 2**23


class TokensWriter:
    """Context manager that packs documents into blocks; the artifact exists once `tokens.json` does, at a clean exit.

    With `prepend_bos`, every block and every document begins with `bos_token_id`, which is what SAELens calls
    `prepend_bos`; otherwise ids are stored exactly as given. Documents follow each other without padding; the tail
    of a split that does not fill a block is dropped and counted in `SplitInfo.dropped_tokens`.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        context_length: int,
        vocab_size: int,
        tokenizer: str,
        bos_token_id: int | None = None,
        eos_token_id: int | None = None,
        prepend_bos: bool = False,
        shard_tokens: int = _SHARD_TOKENS,
    ) -> None:
        """Create the folder; raise TokensFormatError when the lengths are too small or BOS is asked for but absent."""
        if context_length <= 1 or vocab_size < 1:
            raise TokensFormatError("context_length must be above 1 and vocab_size at least 1.")
        if prepend_bos and bos_token_id is None:
            raise TokensFormatError(f"tokenizer {tokenizer!r} has no BOS token; set prepend_bos to false.")
        self._folder = Path(path)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._base = TokensInfo(
            context_length, token_dtype(vocab_size), vocab_size, tokenizer, bos_token_id, eos_token_id, prepend_bos, {}
        )
        self._shape = (max(1, shard_tokens // context_length), context_length)
        self._packers: dict[str, SplitPacker] = {}

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close after a clean body; after an exception leave no `tokens.json`, so that nobody reads half a dataset."""
        if kind is None:
            self.close()

    def add_document(self, ids: Sequence[int] | npt.NDArray[np.integer], document: int, split: str = "train") -> None:
        """Append the ids of dataset row `document` to `split`; raise TokensFormatError on an id outside the vocabulary.

        An empty document is skipped.
        """
        array = np.asarray(ids, dtype=np.int64)
        if array.size == 0:
            return
        if array.min() < 0 or array.max() >= self._base.vocab_size:
            raise TokensFormatError(
                f"document {document} has a token id outside [0, {self._base.vocab_size}); "
                "declare the vocabulary size of the tokenizer that made it."
            )
        if split not in self._packers:
            bos = self._base.bos_token_id if self._base.prepend_bos else None
            self._packers[split] = SplitPacker(self._folder, split, self._shape, self._base.dtype, bos)
        self._packers[split].add(array, document)

    def close(self) -> TokensInfo:
        """Save the open shards, then `tokens.json` by rename, and return what was written."""
        splits = {name: packer.finish() for name, packer in self._packers.items()}
        info = TokensInfo(**{**vars(self._base), "splits": splits})
        temporary = self._folder / f".{INFO_FILE}"
        with temporary.open("w", encoding="utf-8") as file:
            file.write(dump_info(info))
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self._folder / INFO_FILE)
        return info
