"""Whether bytes are those that were written."""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock._compile import compiled
from penstock._types import Array


def checksums(data: Array, offsets: Array, nbytes: Array) -> Array:
    """64 bits for each of some pieces, so that chance does not make two alike; no protection against intent.

    Args:
        data: uint8, one-dimensional, C-contiguous, beginning on a multiple of eight.
        offsets, nbytes: int64, multiples of eight, where the pieces begin and how long they are.

    Returns:
        int64, one number for each piece.
    """
    sums = np.empty(len(offsets), np.int64)
    _sums(data, offsets, nbytes, sums)
    return sums


@compiled()
def _sums(data: Any, offsets: Any, nbytes: Any, sums: Any) -> None:
    """Four multiplications are under way at a time: 0.1 ns a byte."""
    prime = np.uint64(0x9E3779B185EBCA87)
    half = np.uint64(32)
    for k in range(offsets.shape[0]):
        words = data[offsets[k] : offsets[k] + nbytes[k]].view(np.uint64)
        count = words.shape[0]
        a = b = c = d = np.uint64(nbytes[k]) + prime
        for i in range(0, count - count % 4, 4):
            a = (a ^ words[i]) * prime
            b = (b ^ words[i + 1]) * prime
            c = (c ^ words[i + 2]) * prime
            d = (d ^ words[i + 3]) * prime
            a ^= a >> half
            b ^= b >> half
            c ^= c >> half
            d ^= d >> half
        for i in range(count - count % 4, count):
            a = (a ^ words[i]) * prime
            a ^= a >> half
        for lane in (b, c, d):
            a = (a ^ lane) * prime
            a ^= a >> half
        sums[k] = np.int64(a)
