"""The loops themselves, compiled by numba. Each works on a range of rows, so that threads can share a batch.

The arithmetic of one row never depends on how a batch is shared, so results are the same for any number of threads.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mistudio_sae.kernels.compiled import compiled

Floats = NDArray[np.float32]
Places = NDArray[np.int64]


@compiled
def top_of_rows(z: Floats, bias: Floats, k: int, values: Floats, indices: Places) -> None:
    """Writes the k largest of each row of z + bias to values and indices [n, k], in no particular order.

    z [n, m] has the bias [m] added afterwards: in a matrix product that would cost a pass over all of z.

    Exact, in two stages. Column j of a row folded to [m / width, width] stands for every width-th number. The k-th
    largest of the columns' greatest is a bound that at least k numbers reach, so only columns that reach it are read
    again. Which of equal numbers are kept depends on their places alone. A row with NaN may give NaN.
    """
    rows, m = z.shape
    width = _fold(m, k)
    greatest, chosen = np.empty(width, z.dtype), np.empty(m, z.dtype)
    places = np.empty(m, np.int64)
    for row in range(rows):
        for j in range(m):
            z[row, j] += bias[j]
        _greatest_of_columns(z[row], width, greatest)
        bound = _bracket(greatest, k, k // 8)[0]
        found = _candidates(z[row], width, greatest, bound, places)
        _keep_largest(z[row], places[:found], chosen[:found], k, values[row], indices[row])


@compiled
def _fold(m: int, k: int) -> int:
    """Returns how many columns a row of m numbers is folded to: eight or more rows deep where k allows it."""
    return min(m, max(4 * k, m // 16))


@compiled
def _greatest_of_columns(z: Floats, width: int, greatest: Floats) -> None:
    for j in range(width):
        greatest[j] = z[j]
    full = len(z) // width
    for depth in range(1, full):
        base = depth * width
        for j in range(width):
            greatest[j] = max(greatest[j], z[base + j])
    for j in range(len(z) - full * width):
        greatest[j] = max(greatest[j], z[full * width + j])


@compiled
def _bracket(numbers: Floats, k: int, tolerance: int) -> tuple[np.float32, np.float32]:
    """Returns low, high such that at least k of the numbers reach low, and fewer than k reach high unless it is low.

    Ends with low = high as soon as k to k + tolerance reach it, else when no number lies between the two.
    """
    half = numbers.dtype.type(0.5)
    low, high = numbers[0], numbers[0]
    for number in numbers:
        low, high = min(low, number), max(high, number)
    if _reaching(numbers, high) >= k:
        return high, high
    while True:
        middle = low + (high - low) * half
        if not low < middle < high:
            return low, high
        reached = _reaching(numbers, middle)
        if k <= reached <= k + tolerance:
            return middle, middle
        if reached > k:
            low = middle
        else:
            high = middle


@compiled
def _reaching(numbers: Floats, bound: np.float32) -> int:
    reached = 0
    for number in numbers:
        reached += number >= bound
    return reached


@compiled
def _candidates(z: Floats, width: int, greatest: Floats, bound: np.float32, places: Places) -> int:
    found = 0
    for j in range(width):
        if greatest[j] >= bound:
            for place in range(j, len(z), width):
                if z[place] >= bound:
                    places[found] = place
                    found += 1
    return found


@compiled
def _keep_largest(  # noqa: PLR0917 - compiled functions take no keywords
    z: Floats, places: Places, chosen: Floats, k: int, values: Floats, indices: Places
) -> None:
    if len(places) < k:
        values[:] = np.nan
        return
    for i in range(len(places)):
        chosen[i] = z[places[i]]
    least, more = _bracket(chosen, k, 0)
    kept = 0
    for i in range(len(places)):
        if chosen[i] >= more and kept < k:
            values[kept], indices[kept] = chosen[i], places[i]
            kept += 1
    for i in range(len(places)):
        if least <= chosen[i] < more and kept < k:
            values[kept], indices[kept] = chosen[i], places[i]
            kept += 1


@compiled
def weighted_rows(begins: Places, latents: Places, values: Floats, weights: Floats, out: Floats) -> None:
    """Adds to each out[t] the sum over its entries p in begins[t]:begins[t + 1] of values[p] weights[latents[p]]."""
    for t in range(len(begins) - 1):
        for p in range(begins[t], begins[t + 1]):
            value, row = values[p], weights[latents[p]]
            for c in range(row.shape[0]):
                out[t, c] += value * row[c]


@compiled
def row_products(begins: Places, latents: Places, rows: Floats, weights: Floats, out: Floats) -> None:
    """Writes out[p] = rows[t] · weights[latents[p]] for the entries p of each row t."""
    for t in range(len(begins) - 1):
        left = rows[t]
        for p in range(begins[t], begins[t + 1]):
            right = weights[latents[p]]
            total = left.dtype.type(0)
            for c in range(left.shape[0]):
                total += left[c] * right[c]
            out[p] = total


@compiled
def latent_sums(  # noqa: PLR0917 - as above
    begins: Places, order: Places, tokens: Places, values: Floats, rows: Floats, out: Floats
) -> None:
    """Adds to each out[i] the sum over the entries p of latent i of values[p] rows[tokens[p]], in their order."""
    for i in range(len(begins) - 1):
        for place in range(begins[i], begins[i + 1]):
            p = order[place]
            value, row = values[p], rows[tokens[p]]
            for c in range(row.shape[0]):
                out[i, c] += value * row[c]


@compiled
def by_latent(latents: Places, d_sae: int) -> tuple[Places, Places]:
    """Returns begins [d_sae + 1] and order [n]: the entries of latent i are order[begins[i]:begins[i + 1]], rising."""
    begins = np.zeros(d_sae + 1, np.int64)
    for latent in latents:
        begins[latent + 1] += 1
    begins = np.cumsum(begins)
    free, order = begins[:-1].copy(), np.empty(len(latents), np.int64)
    for p in range(len(latents)):
        latent = latents[p]
        order[free[latent]] = p
        free[latent] += 1
    return begins, order
