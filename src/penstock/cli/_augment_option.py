"""Settings of `ImageDataGenerator` as one option: `--augment "rotation_range=45,zoom_range=.2"`."""

from __future__ import annotations

import ast
import difflib
from typing import Any

# Those that a command can be given: no functions, no learnt statistics, and what has an option of its own.
NAMES = (
    "samplewise_center",
    "samplewise_std_normalization",
    "rotation_range",
    "width_shift_range",
    "height_shift_range",
    "brightness_range",
    "shear_range",
    "zoom_range",
    "channel_shift_range",
    "fill_mode",
    "cval",
    "horizontal_flip",
    "vertical_flip",
    "rescale",
    "interpolation_order",
    "semantics",
)


def parse_augment(text: str) -> dict[str, Any]:
    """Settings by name, as Python would read them between the brackets of a call.

    Raises:
        ValueError: it is something else, or names a setting that there is not, or names one twice.

    Example:
        >>> parse_augment("rotation_range=45, brightness_range=(0.5, 1.5), fill_mode='wrap', horizontal_flip=True")
        {'rotation_range': 45, 'brightness_range': (0.5, 1.5), 'fill_mode': 'wrap', 'horizontal_flip': True}
        >>> parse_augment("rescale=1/255")
        {'rescale': 0.00392156862745098}
    """
    try:
        call = ast.parse(f"settings({text}\n)", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            raise ValueError
        names = [word.arg for word in call.keywords]
        if None in names or len(set(names)) < len(names):
            raise ValueError
        settings = {str(word.arg): _value(word.value) for word in call.keywords}
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        raise ValueError(
            f'should be settings such as "rotation_range=45,zoom_range=.2", with texts in quotes. Received: {text!r}'
        ) from None
    for name in settings:
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, 1)
            meant = f"; did you mean {near[0]}?" if near else f". There are {', '.join(NAMES)}."
            raise ValueError(f"names {name!r}, which is no such setting{meant}")
    return settings


def _value(node: ast.expr) -> Any:
    """A literal, or a quotient of two numbers, as everybody writes `rescale`."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return ast.literal_eval(node.left) / ast.literal_eval(node.right)
    return ast.literal_eval(node)
