"""The largest numbers of a batch that is seen in parts."""

from collections.abc import Iterable

import torch
from torch import Tensor


def largest_places(parts: Iterable[Tensor], count: int) -> tuple[Tensor, list[Tensor]]:
    """Return the `count` largest of the numbers [n] of all parts, and for each part the places of its own, sorted.

    No more than `count` numbers and one part exist at a time.
    """
    values, places = torch.empty(0), torch.empty(0, dtype=torch.int64)
    bounds = [0]
    for part in parts:
        top = part.topk(min(count, len(part)), sorted=False)
        values = torch.cat((values.to(part), top.values))
        places = torch.cat((places.to(part.device), top.indices + bounds[-1]))
        kept = values.topk(min(count, len(values)), sorted=False).indices
        values, places = values[kept], places[kept]
        bounds.append(bounds[-1] + len(part))
    places = places.sort().values
    cuts = torch.searchsorted(places, torch.tensor(bounds, device=places.device)).tolist()
    split = places.tensor_split(cuts[1:-1])
    return values, [own - low for own, low in zip(split, bounds, strict=False)]
