"""Turn the installation's documentation into deduplicated train and validation documents."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from sources import compiled_modules, library_modules, topics

MIN_DOCUMENT_CHARACTERS = 120
MIN_DEDUPLICATED_CHARACTERS = 60
MIN_READABLE_SHARE = 0.6
VALIDATION_PERCENT = 5


@dataclass(frozen=True)
class Corpus:
    """Documents by split; a document's split depends on its name alone."""

    train: list[str]
    validation: list[str]

    @property
    def characters(self) -> tuple[int, int]:
        """Characters of the train and of the validation split."""
        return sum(map(len, self.train)), sum(map(len, self.validation))


def build_corpus() -> Corpus:
    """Read, clean, deduplicate and split this Python installation's documentation."""
    named = sorted(
        [*topics(), *library_modules(), *compiled_modules()],
        key=lambda item: (not item[0].startswith("topic/"), -len(item[1]), item[0]),
    )
    return split_documents(deduplicate(named))


def deduplicate(documents: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Drop paragraphs seen before, so that no held-out paragraph is also trained on.

    The longest topic comes first: the reference manual repeats parts of its long topics
    (``compound``) as topics of their own (``if``, ``while``).
    """
    seen: set[bytes] = set()
    kept: list[tuple[str, str]] = []
    for name, text in documents:
        fresh = [part for part in paragraphs(text) if _is_fresh(part, seen)]
        joined = "\n\n".join(fresh)
        if is_readable(joined):
            kept.append((name, joined))
    return kept


def paragraphs(text: str) -> list[str]:
    """Split at blank lines; trailing blanks of each line go."""
    lines = "\n".join(line.rstrip() for line in text.expandtabs().splitlines())
    return [part for part in re.split(r"\n{2,}", lines.strip("\n")) if part.strip()]


def is_readable(text: str) -> bool:
    """Say whether the text is long enough and mostly ASCII letters and spaces."""
    if len(text) < MIN_DOCUMENT_CHARACTERS:
        return False
    readable = sum(1 for char in text if char.isascii() and (char.isalpha() or char == " "))
    return readable / len(text) >= MIN_READABLE_SHARE


def split_documents(documents: Iterable[tuple[str, str]]) -> Corpus:
    """Send a fixed share of the names, chosen by their SHA-256, to validation."""
    corpus = Corpus([], [])
    for name, text in documents:
        held_out = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 100 < VALIDATION_PERCENT
        (corpus.validation if held_out else corpus.train).append(text)
    return corpus


def _is_fresh(paragraph: str, seen: set[bytes]) -> bool:
    normal = " ".join(paragraph.split())
    if len(normal) < MIN_DEDUPLICATED_CHARACTERS:
        return True
    key = hashlib.sha256(normal.encode()).digest()
    if key in seen:
        return False
    seen.add(key)
    return True
