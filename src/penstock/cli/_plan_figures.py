"""Figures as people read them: three digits, and the unit in which they are small."""

from __future__ import annotations

import math

_SIZES = ((12, "TB"), (9, "GB"), (6, "MB"), (3, "kB"))
_TIMES = ((86_400, "days"), (3600, "h"), (60, "min"))


def three(value: float) -> str:
    """Three digits that count, thousands set apart.

    Example:
        >>> three(136_533.3), three(0.1875), three(1.26e9), three(0)
        ('137,000', '0.188', '1.26 billion', '0')
    """
    if value == 0:
        return "0"
    if value >= 1e9:
        return f"{three(value / 1e9)} billion"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{round(value, digits):,.{max(0, digits)}f}"


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


def in_gbit(bytes_per_s: float) -> str:
    """Of a network.

    Example:
        >>> in_gbit(15e9)
        '120 Gbit/s'
    """
    return f"{three(8 * bytes_per_s / 1e9)} Gbit/s"


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
