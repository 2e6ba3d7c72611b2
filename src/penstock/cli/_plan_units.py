"""Numbers and sizes as people write them."""

from __future__ import annotations

import math
import re

_COUNT = re.compile(r"([0-9]+(?:\.[0-9]*)?(?:e[0-9]+)?|\.[0-9]+(?:e[0-9]+)?)\s*([kmgb]?)", re.IGNORECASE)
_SIZE = re.compile(r"([0-9]+)(?:\s*x\s*([0-9]+))?", re.IGNORECASE)
_FACTORS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9}
_MOST = 10**15
_LARGEST_PX = 65_500  # a side, as JPEG knows them


def parse_count(text: str) -> int:
    """How many, from 1 on.

    Args:
        text: as "14000000", "14e6", "14M", "1.28 M" or "14,000,000".

    Raises:
        ValueError: it is no such number, or none from 1 on.

    Example:
        >>> parse_count("14e6") == parse_count("14M") == parse_count("14,000,000")
        True
    """
    found = _COUNT.fullmatch(re.sub(r"(?<=[0-9])[,_](?=[0-9]{3})", "", text.strip()))
    if found:
        value = float(found[1]) * _FACTORS[found[2].lower()]
        if 1 <= value <= _MOST:
            return round(value)
    raise ValueError(f'should be a number from 1 to {_MOST:.0e}, as 14000000, 14e6 or "14M". Received: {text!r}')


def parse_size(text: str) -> tuple[int, int]:
    """Width and height in pixels.

    Args:
        text: as "500x375", or "224" for a square.

    Raises:
        ValueError: it is neither.

    Example:
        >>> parse_size("500x375"), parse_size("224")
        ((500, 375), (224, 224))
    """
    found = _SIZE.fullmatch(text.strip())
    if found:
        sides = int(found[1]), int(found[2] or found[1])
        if min(sides) >= 1 and max(sides) <= _LARGEST_PX:
            return sides
    raise ValueError(
        f"should be WIDTHxHEIGHT in pixels, each from 1 to {_LARGEST_PX}, as 500x375, or one number for a square. "
        f"Received: {text!r}"
    )


def positive(value: float) -> float:
    """A finite number above 0.

    Raises:
        ValueError: it is none.
    """
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"should be a number above 0. Received: {value:g}")
    return value


def not_negative(value: float) -> float:
    """A finite number from 0 on.

    Raises:
        ValueError: it is none.
    """
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"should be 0 or more. Received: {value:g}")
    return value
