"""Parameters of a transformation in a few short words each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WORD = {"theta": "rotate"}


def in_words(parameters: Mapping[str, Any]) -> list[str]:
    """What Keras's parameter dict does to an image; nothing of what changes nothing.

    Shifts and zooms keep Keras's names, since where an image goes depends on its rotation, too.

    Example:
        >>> in_words({"theta": 12.34, "tx": 0.0, "ty": -3.0, "zx": 1.1, "zy": 0.9, "flip_horizontal": True})
        ['rotate 12.3°', 'ty -3.0 px', 'zoom 1.10 x 0.90', 'flip h']
        >>> in_words({"theta": 0.0, "zx": 1.0, "zy": 1.0, "channel_shift_intensity": None, "brightness": 0.75})
        ['brightness 0.75']
    """
    words = []
    for name, unit in (("theta", "°"), ("tx", " px"), ("ty", " px"), ("shear", "°")):
        if abs(value := parameters.get(name) or 0.0) >= 0.05:  # what one decimal shows
            words.append(f"{_WORD.get(name, name)} {value:.1f}{unit}")
    zooms = [f"{parameters.get(name, 1.0):.2f}" for name in ("zx", "zy")]
    if zooms != ["1.00", "1.00"]:
        words.append(f"zoom {zooms[0]} x {zooms[1]}")
    words += [f"flip {axis[0]}" for axis in ("horizontal", "vertical") if parameters.get(f"flip_{axis}")]
    if shift := parameters.get("channel_shift_intensity"):
        words.append(f"channels {shift:+.3g}")
    brightness = parameters.get("brightness")
    if brightness is not None and f"{brightness:.2f}" != "1.00":
        words.append(f"brightness {brightness:.2f}")
    return words
