"""Whether bytes are those that were written."""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock._compile import compiled
from penstock._types import Array


def checksums(data: Array, offsets: Array, nbytes: Array) -> Array:
    """XXH64 of some pieces: chance does not make two alike; no protection against intent.

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
def _turned(word: Any, bits: int) -> Any:
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))


@compiled()
def _round(lane: Any, word: Any) -> Any:
    return _turned(lane + word * np.uint64(0xC2B2AE3D27D4EB4F), 31) * np.uint64(0x9E3779B185EBCA87)


@compiled()
def _sums(data: Any, offsets: Any, nbytes: Any, sums: Any) -> None:
    """XXH64, whose four lanes keep a core's multipliers busy: 0.1 ns a byte."""
    one, two = np.uint64(0x9E3779B185EBCA87), np.uint64(0xC2B2AE3D27D4EB4F)
    three, four, five = (
        np.uint64(0x165667B19E3779F9),
        np.uint64(0x85EBCA77C2B2AE63),
        np.uint64(0x27D4EB2F165667C5),
    )
    none = np.uint64(0)
    for k in range(offsets.shape[0]):
        words = data[offsets[k] : offsets[k] + nbytes[k]].view(np.uint64)
        count = words.shape[0]
        total = five
        if count >= 4:
            a, b, c, d = one + two, two, none, none - one
            for i in range(0, count - count % 4, 4):
                a, b = _round(a, words[i]), _round(b, words[i + 1])
                c, d = _round(c, words[i + 2]), _round(d, words[i + 3])
            total = _turned(a, 1) + _turned(b, 7) + _turned(c, 12) + _turned(d, 18)
            for lane in (a, b, c, d):
                total = (total ^ _round(none, lane)) * one + four
        total += np.uint64(nbytes[k])
        for i in range(count - count % 4, count):
            total = _turned(total ^ _round(none, words[i]), 27) * one + four
        total = (total ^ (total >> np.uint64(33))) * two
        total = (total ^ (total >> np.uint64(29))) * three
        sums[k] = np.int64(total ^ (total >> np.uint64(32)))
