"""Deterministic 64-bit mixing on int64 tensors (arithmetic wraps, as in the published C)."""

from __future__ import annotations

from torch import Tensor


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


GOLDEN = _signed(0x9E3779B97F4A7C15)
_FIRST = _signed(0xBF58476D1CE4E5B9)
_SECOND = _signed(0x94D049BB133111EB)


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift; torch's own keeps the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def mix64(x: Tensor) -> Tensor:
    """Scatter int64 values of any shape over all 64 bits, bijectively (splitmix64's finalizer, Steele et al. 2014)."""
    x = x + GOLDEN
    x = (x ^ _shift(x, 30)) * _FIRST
    x = (x ^ _shift(x, 27)) * _SECOND
    return x ^ _shift(x, 31)


def priority(identity: Tensor, latent: Tensor, seed: int) -> Tensor:
    """A pseudo-random rank in 0..2^63-1 per (context identity, latent id), equal for equal inputs, any shape."""
    return _shift(mix64(identity ^ mix64(latent * 2 + 1 + _signed((seed * 0x9E3779B97F4A7C15) % 2**64))), 1)
