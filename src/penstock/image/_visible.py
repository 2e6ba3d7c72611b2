"""Values of any range to what an eye can see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from penstock._types import Array

_SLACK = 0.05  # splines overshoot the range of the values that they run through
_DARK = 16
_LARGEST = 1e300  # of which one can be subtracted from another
_WHITE = 255.0


def visible(images: Sequence[Array], *, channels_first: bool) -> list[Array]:
    """Images as red, green and blue, all by the same rule, so that they can be compared.

    Bytes and values from 0 to 255 are shown as they are, those from 0 to 1 times 255. Any others, such as standardized
    values, those of 16 bits or from 0 to 2, are stretched: the least of all images is black, the greatest white.

    Args:
        images: of one layout, any real dtype, rank 3. One or two channels are grey (of two the second is left out), of
            five and more the first three are shown. A fourth one is how opaque a pixel is, on white; where values are
            stretched it is left out.

    Returns:
        uint8, `(height, width, 3)` each.
    """
    finite = [
        np.clip(np.nan_to_num(image.astype(np.float64), posinf=0.0, neginf=0.0), -_LARGEST, _LARGEST)
        for image in images
    ]
    least, greatest = min(float(image.min()) for image in finite), max(float(image.max()) for image in finite)
    are_bytes = all(image.dtype == np.uint8 for image in images)
    largest = 1.0 if greatest <= 1 + _SLACK and not are_bytes else 255.0
    is_usual = -_SLACK * greatest <= least and greatest <= (1 + _SLACK) * largest
    is_dark = largest > 1 and greatest < _DARK  # as 0 to 2, of which nothing could be seen as it is
    stretches = not are_bytes and (not is_usual or is_dark)
    if stretches:
        origin, gain = least, 255 / ((greatest - least) or 1.0)
    else:
        origin, gain = 0.0, 255 / largest
    shown = []
    for image in finite:
        bright = np.clip(((np.moveaxis(image, 0, 2) if channels_first else image) - origin) * gain, 0, 255)
        if bright.shape[2] == 4 and not stretches:
            opacity = bright[:, :, 3:] / 255
            bright = bright[:, :, :3] * opacity + _WHITE * (1 - opacity)
        colours = bright[:, :, :3] if bright.shape[2] >= 3 else bright[:, :, [0, 0, 0]]
        shown.append(np.rint(colours).astype(np.uint8))
    return shown
