"""The kept examples of some latents as dense tables, with the tokens of their windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from mistudio_sae.features.batch import unpack
from mistudio_sae.features.best import EMPTY, BestPerLatent
from mistudio_sae.tokens import Blocks

OUTSIDE = -1
"""Token id where a window has been cut."""


@dataclass(frozen=True)
class ExampleTable:
    """Examples of consecutive latent rows; empty places have `present` False."""

    present: npt.NDArray[np.bool_]
    """[rows, capacity]."""
    value: npt.NDArray[np.float32]
    """Activation at the peak, [rows, capacity]."""
    position: npt.NDArray[np.int64]
    """Global position of the peak, block x context + offset, [rows, capacity]."""
    token_ids: npt.NDArray[np.int64]
    """Tokens around the peak, `OUTSIDE` beyond the window, [rows, capacity, width]."""
    activations: npt.NDArray[np.float32]
    """The latent's activation on each of them, NaN beyond the window, [rows, capacity, width]."""


def example_table(best: BestPerLatent, rows: slice, blocks: Blocks, left: int) -> ExampleTable:
    """Look up the windows of the kept entries of `rows`; the peak is column `left`."""
    order, key, window = best.order[rows], best.key[rows], best.window[rows].numpy()
    present = (order != EMPTY).numpy()
    value, ordinal = unpack(key)
    position = torch.where(order != EMPTY, ordinal, 0).numpy()
    context = blocks.context_length
    tokens = blocks[(position // context).reshape(-1)].reshape(*position.shape, context)
    around = (position % context)[..., None] + np.arange(window.shape[-1]) - left
    found = np.take_along_axis(tokens, np.clip(around, 0, context - 1), axis=-1)
    inside = ~np.isnan(window) & present[..., None]
    return ExampleTable(present, value.numpy(), position, np.where(inside, found, OUTSIDE), window)


def by_value(table: ExampleTable) -> ExampleTable:
    """The same examples, weakest first in each row (earliest of equals first), empty places last."""
    value = np.where(table.present, table.value, np.inf)
    order = np.lexsort((table.position, value), axis=-1)
    wide = order[..., None]
    return ExampleTable(
        np.take_along_axis(table.present, order, 1),
        np.take_along_axis(table.value, order, 1),
        np.take_along_axis(table.position, order, 1),
        np.take_along_axis(table.token_ids, wide, 1),
        np.take_along_axis(table.activations, wide, 1),
    )
