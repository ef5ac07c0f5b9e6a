"""Looks into datasets and tokenizers, fast enough for a page that waits."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from tokenizers import Tokenizer

from mistudio.v1 import DatasetRow, Token
from mistudio_ingest.dataset_texts import DatasetTexts
from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.errors import FailedPreconditionError, InvalidRequestError, Violation
from mistudio_runtime.jobs import PermanentFailure

DEFAULT_ROWS = 10
MOST_ROWS = 100
ROW_CHARACTERS = 2_000
MOST_CHARACTERS = 20_000
_WORD_START = "\u2581"
"""How SentencePiece writes a space at the beginning of a token."""


class Previews:
    """Reads the store; artifacts never change, so tokenizers are kept."""

    def __init__(self, store: ArtifactStore) -> None:
        """Takes the store."""
        self._store = store

    def rows(self, artifact_id: str, offset: int, rows: int) -> tuple[list[DatasetRow], int]:
        """Returns at most `rows` rows (0: DEFAULT_ROWS) from number `offset` on, and how many there are in all.

        Raises NotFoundError, InvalidRequestError or FailedPreconditionError.
        """
        if rows > MOST_ROWS:
            raise InvalidRequestError([Violation("rows", f"ask for at most {MOST_ROWS} rows")])
        folder = self._folder("artifact_id", artifact_id, "dataset")
        column = str(self._store.get(artifact_id).summary.get("text_column") or "")
        try:
            texts = DatasetTexts(folder, column, artifact_id)
        except PermanentFailure as failure:
            raise FailedPreconditionError(failure.message) from failure
        found = texts.slice(offset, rows or DEFAULT_ROWS)
        return [_row(index, text) for index, text in found], texts.rows

    def tokens(self, model_id: str, text: str) -> list[Token]:
        """Returns the tokens of a text, without any that the tokenizer would add.

        Raises NotFoundError, InvalidRequestError or FailedPreconditionError.
        """
        if len(text) > MOST_CHARACTERS:
            raise InvalidRequestError([Violation("text", f"give at most {MOST_CHARACTERS} characters")])
        tokenizer = _tokenizer(self._folder("model_artifact_id", model_id, "model") / "tokenizer.json")
        encoding = tokenizer.encode(text, add_special_tokens=False)
        return [
            Token(id=id_, text=_token_text(tokenizer, id_), start=start, end=end)
            for id_, (start, end) in zip(encoding.ids, encoding.offsets, strict=True)
        ]

    def _folder(self, field: str, artifact_id: str, kind: str) -> Path:
        manifest = self._store.get(artifact_id)
        if manifest.kind != kind:
            wrong = f"{artifact_id} is of kind {manifest.kind!r}; name one of kind {kind!r}"
            raise InvalidRequestError([Violation(field, wrong)])
        return self._store.root / artifact_id


def _row(index: int, text: str) -> DatasetRow:
    return DatasetRow(index=index, text=text[:ROW_CHARACTERS], truncated=len(text) > ROW_CHARACTERS)


@lru_cache(maxsize=8)
def _tokenizer(file: Path) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(file))
    # tokenizers raises bare Exception.
    except Exception as error:
        raise FailedPreconditionError(f"{file.parent.name} has no usable tokenizer.json; download it again") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _token_text(tokenizer: Tokenizer, id_: int) -> str:
    piece = tokenizer.id_to_token(id_) or ""
    text = tokenizer.decode([id_], skip_special_tokens=False)
    # A decoder takes the space off the first word of a text, and here every token is first.
    return f" {text}" if piece.startswith(_WORD_START) and not text.startswith(" ") else text
