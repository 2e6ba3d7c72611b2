"""The keywords that flows of encoded images share, wherever the images are."""

from __future__ import annotations

import difflib
from typing import Any, TypedDict, cast

from penstock.batches._cache import Caching
from penstock.keras._feeding import Feeding, FeedingKeywords


class ImageKeywords(FeedingKeywords, total=False):
    """What users may give beside a source's own keywords, with the meaning that `flow_from_dataframe` describes.

    `flow_from_dataframe` has the same defaults. Those of `FeedingKeywords` belong to them.
    """

    target_size: tuple[int, int]
    color_mode: str
    batch_size: int
    shuffle: bool
    seed: int | None
    save_to_dir: str | None
    save_prefix: str
    save_format: str
    subset: str | None
    interpolation: str
    keep_aspect_ratio: bool
    decode: str


class FlowKeywords(TypedDict):
    """The same complete and checked, as `FileFlow` takes them."""

    target_size: tuple[int, int]
    color_mode: str
    batch_size: int
    shuffle: bool
    seed: int | None
    save_to_dir: str | None
    save_prefix: str
    save_format: str
    subset: str | None
    interpolation: str
    keep_aspect_ratio: bool
    decode: str
    data_format: str | None
    dtype: Any
    caching: Caching | None
    feeding: Feeding


_DEFAULTS = {
    "target_size": (256, 256),
    "color_mode": "rgb",
    "batch_size": 32,
    "shuffle": True,
    "seed": None,
    "save_to_dir": None,
    "save_prefix": "",
    "save_format": "png",
    "subset": None,
    "interpolation": "nearest",
    "keep_aspect_ratio": False,
    "decode": "exact",
}


def flow_keywords(method: str, keywords: ImageKeywords, *, data_format: str | None, dtype: Any) -> FlowKeywords:
    """Complete what the user gave.

    Args:
        method: that was called, for messages.
        data_format, dtype: the generator's.

    Raises:
        TypeError: there is no such keyword; it says which may have been meant.
        ValueError: one of the feeding keywords is out of range.
    """
    known = ImageKeywords.__annotations__
    for keyword in keywords:
        if keyword not in known:
            near = difflib.get_close_matches(keyword, known, n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"{method}() got an unexpected keyword argument {keyword!r}.{hint}")
    images = {name: keywords.get(name, default) for name, default in _DEFAULTS.items()}
    feeding = {name: value for name, value in keywords.items() if name not in _DEFAULTS}
    parsed = Feeding.parse(**cast("Any", feeding))
    own = {"data_format": data_format, "dtype": dtype, "caching": None, "feeding": parsed}
    return cast("FlowKeywords", {**images, **own})
