"""The means of a JPEG's blocks of 8 by 8 pixels: the first of 64 coefficients, behind which is skipped."""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock._compile import compiled, word_at
from penstock.image._huffman import END, MEAN_BITS, SKIP_BITS, code_length, find_ends, signed, tabulate

# How far damaged data may lead beyond their end: 6 blocks to a unit, 64 codes to a block, 31 bits with each value.
PADDING_BYTES = 2048
_u = np.uint64


@compiled(inline=True)
def _refilled(address: Any, at: Any, bits: Any, held: Any) -> Any:
    """56 bits or more, from the uppermost on; what is below them is of the stream, too, and is read again."""
    return at + ((_u(63) - held) >> _u(3)), bits | word_at(address, at) >> held, held | _u(56)


@compiled()
def read_means(
    data: Any,
    stops: Any,
    interval: Any,
    down: Any,
    across: Any,
    divisors: Any,
    counts: Any,
    symbols: Any,
    luma: Any,
    colours: Any,
) -> Any:
    """The mean of each block, 0 to 255.

    One loop, since each call would count references to its arrays, 50 ns for each of 300,000 blocks and each rare code.

    Args:
        interval: units from one restart to the next; a unit is `(down, across)` blocks of luma and one of each colour.
        divisors: of each component's means.

    Returns:
        Whether the scan was as it should be, to its last bit.
    """
    ends, offsets = np.empty((4, 17), np.int64), np.empty((4, 17), np.int64)
    if not find_ends(counts, ends, offsets):
        return False
    means, skips, lengths = tabulate(counts, symbols, 2 if len(colours) else 1)
    sums = np.zeros(1 + len(colours), np.int64)
    units_across = luma.shape[1] // across
    units = luma.shape[0] // down * units_across
    address: Any = data.ctypes.data
    stop: Any = 0
    for restart in range(stops.size):
        at, bits, held = _u(stop), _u(0), _u(0)
        stop = stops[restart]
        sums[:] = 0
        for unit in range(restart * interval, min((restart + 1) * interval, units)):
            if at > _u(stop + 8):
                return False
            row, column = unit // units_across, unit % units_across
            for block in range(-down * across, len(colours)):
                kind = 1 if block >= 0 else 0
                table, component = 2 * kind, max(block + 1, 0)
                at, bits, held = _refilled(address, at, bits, held)
                entry = np.int64(means[kind, bits >> _u(64 - MEAN_BITS)])
                if entry:
                    sums[component] += entry >> 6
                    bits <<= _u(entry & 63)
                    held -= _u(entry & 63)
                else:
                    ahead = np.int64(bits >> _u(48))
                    length = code_length(ahead, ends, table)
                    if length > 16:
                        return False
                    size = np.int64(symbols[table, (ahead >> (16 - length)) + offsets[table, length]])
                    if size > 15:
                        return False
                    bits <<= _u(length)
                    sums[component] += signed(np.int64(bits >> _u(1) >> _u(63 - size)), size)
                    at, bits, held = _refilled(address, at, bits << _u(size), held - _u(length + size))
                # libjpeg looks levels up by ten bits, which matters to damaged files only.
                level: Any = ((((sums[component] * divisors[component] + 4) >> 3) + 512) & 1023) - 384
                level = min(max(level, 0), 255)
                if block < 0:
                    place = down * across + block
                    luma[row * down + place // across, column * across + place % across] = level
                else:
                    colours[block, row, column] = level
                table += 1
                number: Any = 1
                while number < 64:
                    # 56 bits less those of a mean are three times 13 and more.
                    skipped = number + np.int64(skips[kind, bits >> _u(64 - SKIP_BITS)])
                    taken = _u(lengths[kind, bits >> _u(64 - SKIP_BITS)])
                    if skipped < 64:
                        number = skipped
                        bits <<= taken
                        held -= taken
                        skipped = number + np.int64(skips[kind, bits >> _u(64 - SKIP_BITS)])
                        taken = _u(lengths[kind, bits >> _u(64 - SKIP_BITS)])
                        if skipped < 64:
                            number = skipped
                            bits <<= taken
                            held -= taken
                            skipped = number + np.int64(skips[kind, bits >> _u(64 - SKIP_BITS)])
                            taken = _u(lengths[kind, bits >> _u(64 - SKIP_BITS)])
                            if skipped < 64:
                                number = skipped
                                at, bits, held = _refilled(address, at, bits << taken, held - taken)
                                continue
                    if END <= skipped < END + 64:
                        bits <<= taken
                        held -= taken
                        break
                    at, bits, held = _refilled(address, at, bits, held)
                    ahead = np.int64(bits >> _u(48))
                    length = code_length(ahead, ends, table)
                    if length > 16:
                        return False
                    symbol = np.int64(symbols[table, (ahead >> (16 - length)) + offsets[table, length]])
                    size, zeros = symbol & 15, symbol >> 4
                    bits = bits << _u(length) << _u(size)
                    at, bits, held = _refilled(address, at, bits, held - _u(length + size))
                    if symbol == 0:
                        break
                    if size == 0 and zeros != 15:
                        return False
                    number += zeros + 1
                if number > 64:
                    return False
        # Of the last byte some bits are left.
        if not 0 <= 8 * (stop - np.int64(at)) + np.int64(held) < 8:
            return False
    return True
