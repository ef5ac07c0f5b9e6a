"""Pack token documents into windows for one epoch."""

from collections.abc import Iterator, Sequence

import torch
from tokenizers import Tokenizer
from torch import Tensor


def encode_documents(tokenizer: Tokenizer, texts: Sequence[str], boundary_id: int) -> list[Tensor]:
    """Return one int64 tensor a document, each led by the boundary token."""
    encodings = tokenizer.encode_batch(list(texts))
    return [torch.tensor([boundary_id, *encoding.ids]) for encoding in encodings]


def pack(documents: Sequence[Tensor], length: int, offset: int = 0) -> Tensor:
    """Concatenate the documents and cut windows of ``length``: ``[n, length]``; a tail is dropped."""
    stream = torch.cat(list(documents))[offset:]
    return stream[: len(stream) // length * length].view(-1, length)


def epochs(documents: Sequence[Tensor], length: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield batches ``[batch, length]`` for ever.

    Each epoch has its own order of documents, cut offset and order of windows, so that no
    two epochs show the same windows.
    """
    while True:
        order = torch.randperm(len(documents), generator=generator).tolist()
        offset = int(torch.randint(length, (), generator=generator))
        windows = pack([documents[index] for index in order], length, offset)
        shuffled = windows[torch.randperm(len(windows), generator=generator)]
        yield from torch.split(shuffled[: len(windows) // batch * batch], batch)
