"""Figures as people read them: three digits, and the unit in which they are small."""

from __future__ import annotations

import math

_SIZES = ((12, "TB"), (9, "GB"), (6, "MB"), (3, "kB"))
_TIMES = ((31_557_600, "years"), (86_400, "days"), (3600, "h"), (60, "min"))
_BITS = ((9, "Gbit/s"), (6, "Mbit/s"), (3, "kbit/s"))
_LEAST = 0.001


def three(value: float) -> str:
    """Three digits that count, thousands set apart.

    Example:
        >>> three(136_533.3), three(0.1875), three(1.26e9), three(9.9999), three(0), three(1e-6)
        ('137,000', '0.188', '1.26 billion', '10.0', '0', 'under 0.001')
    """
    if value == 0:
        return "0"
    if value < _LEAST:
        return f"under {_LEAST:g}"
    value = float(f"{value:.2e}")  # first: 9.9999 has another digit before its point then
    if value >= 1e9:
        return f"{three(value / 1e9)} billion"
    digits = 2 - math.floor(math.log10(value))
    return f"{value:,.{max(0, digits)}f}"


def whole(value: int) -> str:
    """A number of things: all its digits while they are few.

    Example:
        >>> whole(90), whole(1_260_000_000)
        ('90', '1.26 billion')
    """
    return f"{value:,}" if value < 1000 else three(value)


def percent(share: float) -> str:
    """Of a time.

    Example:
        >>> percent(0.0095), percent(5.9e-14), percent(0.934), percent(1)
        ('0.95 %', '0 %', '93 %', '100 %')
    """
    return f"{float(f'{100 * share:.2g}') if share >= _LEAST / 10 else 0:g} %"


def in_bytes(value: float) -> str:
    """Bytes, in powers of a thousand.

    Example:
        >>> in_bytes(154_140_672), in_bytes(2.107e12), in_bytes(12)
        ('154 MB', '2.11 TB', '12 B')
    """
    for power, unit in _SIZES:
        if value >= 10**power:
            return f"{three(value / 10**power)} {unit}"
    return f"{value:.0f} B"


def in_bits(bytes_per_s: float) -> str:
    """Of a network.

    Example:
        >>> in_bits(15e9), in_bits(4e6), in_bits(2)
        ('120 Gbit/s', '32.0 Mbit/s', '16 bit/s')
    """
    for power, unit in _BITS:
        if 8 * bytes_per_s >= 10**power:
            return f"{three(8 * bytes_per_s / 10**power)} {unit}"
    return f"{8 * bytes_per_s:.0f} bit/s"


def in_time(seconds: float) -> str:
    """A duration, in a unit of which there are two or more.

    Example:
        >>> in_time(103.2), in_time(9300), in_time(1e6)
        ('103 s', '2.58 h', '11.6 days')
    """
    for length, unit in _TIMES:
        if seconds >= 2 * length:
            return f"{three(seconds / length)} {unit}"
    return f"{three(seconds)} s"
