"""Huffman's codes of a JPEG, as tables: 0 and 1 of luma's means and other coefficients, 2 and 3 of colours'."""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock._compile import compiled

MEAN_BITS = 10  # tables of 4 kB
SKIP_BITS = 13  # tables of 8 kB, two of luma in a core's first cache of 32; of 12 or 14 bits they take 5 to 10 % longer
END = 128  # added to a coefficient's number where its block has no other


@compiled(nogil=False)
def find_ends(counts: Any, ends: Any, offsets: Any) -> Any:
    """For each table and length the number behind the last code, and what leads from a code to its symbol's place.

    Returns:
        Whether there can be such codes.
    """
    for table in range(4):
        code = place = 0
        for length in range(1, 17):
            offsets[table, length] = place - code
            code += counts[table, length - 1]
            place += counts[table, length - 1]
            ends[table, length] = code
            if code >= 1 << length:
                return False
            code <<= 1
    return True


@compiled(inline=True)
def code_length(ahead: Any, ends: Any, table: Any) -> Any:
    """Bits of the code that 16 bits begin with; 17 for none."""
    length = 1
    while length <= 16 and ahead >> (16 - length) >= ends[table, length]:
        length += 1
    return length


@compiled(inline=True)
def signed(bits: Any, size: Any) -> Any:
    """The value that bits of a size stand for: those that begin with 0 are below zero; of no bits it is 0."""
    return bits - ((1 << size) - 1 if bits < (1 << size) >> 1 else 0)


@compiled(nogil=False)
def _tabulate_codes(counts: Any, symbols: Any, table: Any, codes: Any) -> None:
    """For the next bits the code that they begin with, as `symbol << 5 | length`; 0 where it is longer."""
    codes[:] = 0
    place = first = 0
    for length in range(1, SKIP_BITS + 1):
        run = 1 << (SKIP_BITS - length)
        for _ in range(counts[table, length - 1]):
            codes[first : first + run] = np.uint16(symbols[table, place]) << 5 | length
            place += 1
            first += run


@compiled(nogil=False)
def _tabulate_means(codes: Any, kind: Any, means: Any) -> None:
    """For the next bits a difference of means and its bits, as `difference << 6 | bits`; 0 for what takes more."""
    for ahead in range(1 << MEAN_BITS):
        code = np.int64(codes[ahead << (SKIP_BITS - MEAN_BITS)])
        length, size = code & 31, code >> 5
        rest = MEAN_BITS - length - size
        means[kind, ahead] = 0
        if length and rest >= 0:
            means[kind, ahead] = signed(ahead >> rest & ((1 << size) - 1), size) << 6 | length + size


@compiled(nogil=False)
def _tabulate_skips(codes: Any, kind: Any, skips: Any, lengths: Any) -> None:
    """For the next bits the coefficients that are all in them, and the bits of these.

    64 coefficients, more than a block has left, where the first takes more bits.
    """
    for ahead in range(1 << SKIP_BITS):
        bits: Any = 0
        coefficients: Any = 0
        while True:
            code = np.int64(codes[ahead << bits & ((1 << SKIP_BITS) - 1)])
            length, size, zeros = code & 31, code >> 5 & 15, code >> 9
            if length == 0 or bits + length + size > SKIP_BITS:
                break
            if size == 0 and zeros == 0:
                bits += length
                coefficients += END
                break
            if coefficients + zeros > 62 or (size == 0 and zeros != 15):
                break
            bits += length + size
            coefficients += zeros + 1
        skips[kind, ahead] = coefficients if bits else 64
        lengths[kind, ahead] = bits


@compiled(nogil=False)
def tabulate(counts: Any, symbols: Any, kinds: Any) -> Any:
    """What comes next, by the next bits; see `_tabulate_means` and `_tabulate_skips`. Takes 60 us.

    Args:
        counts, symbols: as in `Scan`.
        kinds: 1 for luma, 2 with colours.

    Returns:
        The means, int32, `(kinds, 2**MEAN_BITS)`; how many coefficients to skip, and their bits, both uint8,
        `(kinds, 2**SKIP_BITS)`. These are two, since their use is one chain of looking up and
        shifting, 4 ms of 9 for a photograph, which a mask makes longer by an eighth.
    """
    means = np.empty((kinds, 1 << MEAN_BITS), np.int32)
    skips = np.empty((kinds, 1 << SKIP_BITS), np.uint8)
    lengths = np.empty((kinds, 1 << SKIP_BITS), np.uint8)
    codes = np.empty(1 << SKIP_BITS, np.uint16)
    for kind in range(kinds):
        _tabulate_codes(counts, symbols, 2 * kind, codes)
        _tabulate_means(codes, kind, means)
        _tabulate_codes(counts, symbols, 2 * kind + 1, codes)
        _tabulate_skips(codes, kind, skips, lengths)
    return means, skips, lengths
