"""How soon a new process computes; see `penstock.bench._costs`.

python -m penstock.bench.scripts.first_kernel
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from penstock.image._augment import Augmentation
from penstock.image._draw import draw
from penstock.image._pixels import Pixels
from penstock.image._render import Rendering, render

_IMAGES, _SIDE_PX = 4, 32


def main() -> dict[str, float]:
    """Render a few images, as a worker process does.

    Returns:
        When they were there, in seconds on the system's monotonic clock, which whoever started the process reads, too.
    """
    which = np.arange(_IMAGES)
    images = np.zeros((_IMAGES, _SIDE_PX, _SIDE_PX, 3), np.uint8)
    augmentation = Augmentation(rotation_deg=45)
    pixels = Pixels.of_array(images, which, channels_first=False)
    transforms = draw(augmentation, 0, 0, which, _SIDE_PX, _SIDE_PX)
    render(Rendering(augmentation), pixels, transforms, np.empty(images.shape, np.float32))
    return {"computed_at_s": time.monotonic()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main()) + "\n")
