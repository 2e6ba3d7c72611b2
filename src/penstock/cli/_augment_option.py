"""`--augment "rotation_range=45,zoom_range=.2"`: parameters of `ImageDataGenerator`, as Python would be given them."""

from __future__ import annotations

import ast
import difflib
import inspect
from typing import Any

from penstock.cli._endings import CommandError

_EXAMPLE = '"rotation_range=45,zoom_range=.2,horizontal_flip=True"'


def parse_augment(text: str) -> dict[str, Any]:
    """Read the option, and have `ImageDataGenerator` check the values. Needs Keras.

    Values are Python literals, or a quotient of two numbers as in `rescale=1/255`; nothing is evaluated.

    Args:
        text: names and values, with commas between them; an empty one is an empty dict.

    Returns:
        Keyword arguments for `ImageDataGenerator`.

    Raises:
        CommandError: no such text, a name that the generator does not have, or a value that it refuses.

    Example:
        >>> parse_augment("rotation_range=45, zoom_range=[.8, 1.2], rescale=1/255")["zoom_range"]
        [0.8, 1.2]
    """
    from penstock.keras._image_data_generator import ImageDataGenerator

    known = [
        name
        for name, parameter in inspect.signature(ImageDataGenerator).parameters.items()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD  # Keras's own 23
    ]
    values: dict[str, Any] = {}
    for keyword in _keywords(text):
        name = keyword.arg
        if name not in known:
            raise CommandError(_unknown(str(name), known))
        if name in values:
            raise CommandError(f"--augment should give {name} once, and gives it twice.")
        values[name] = _value(name, keyword.value)
    try:
        ImageDataGenerator(**values)
    except (TypeError, ValueError) as error:
        raise CommandError(f"--augment: {error}") from None
    return values


def _keywords(text: str) -> list[ast.keyword]:
    """The arguments of the call that the text would be the inside of."""
    try:
        call = ast.parse(f"dict({text}\n)", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        call = None
    if not isinstance(call, ast.Call) or call.args or not isinstance(call.func, ast.Name):
        raise CommandError(f"--augment should be names and values, as {_EXAMPLE}. Received: {text!r}")
    if any(keyword.arg is None for keyword in call.keywords):
        raise CommandError(f"--augment should be names and values, as {_EXAMPLE}. Received: {text!r}")
    return call.keywords


def _value(name: str, node: ast.expr) -> Any:
    try:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            return ast.literal_eval(node.left) / ast.literal_eval(node.right)
        return ast.literal_eval(node)
    except (ValueError, TypeError, ArithmeticError, RecursionError, MemoryError):
        shown = ast.unparse(node)
        hint = f" Text needs quotes: {name}={shown!r}." if isinstance(node, ast.Name) else ""
        raise CommandError(
            f"--augment should give {name} a number, True, False, None, a text or a list of them. "
            f"Received: {name}={shown}.{hint}"
        ) from None


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    meant = f"Did you mean {' or '.join(near)}?" if near else f"It may name {', '.join(known)}."
    return f"--augment should name parameters of ImageDataGenerator. Received: {name}. {meant}"
