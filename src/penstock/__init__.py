"""penstock feeds images to Keras models: in order, on time and within a memory bound.

    image/     one image: arrays in, arrays out             ┐
    sources/   sample number i                              ├ sisters, none imports another
    feeding/   in order, in time, in memory                 ┘
    batches/   batch number n, where image and sources meet
    monitor/   what a machine and its feeds do, over time
    tracking/  what a run was made of, and what came of it
    planning/  what feeding takes past one machine; knows none of the others
    keras/  cli/  bench/                                    what users touch

Names are loaded on first touch, so that `import penstock` and every worker stay free of Keras and its back ends.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from penstock._errors import (
    BatchError as BatchError,
    FlowClosed as FlowClosed,
    ImageError as ImageError,
    PenstockError as PenstockError,
    StoreError as StoreError,
    WorkerError as WorkerError,
)

if TYPE_CHECKING:
    from penstock.batches._explain import Explanation as Explanation
    from penstock.feeding._stats import FeedStats as FeedStats
    from penstock.keras._array_flow import NumpyArrayIterator as NumpyArrayIterator
    from penstock.keras._compat import (
        evaluate_generator as evaluate_generator,
        fit_generator as fit_generator,
        predict_generator as predict_generator,
    )
    from penstock.keras._dataframe_flow import DataFrameIterator as DataFrameIterator
    from penstock.keras._dataset_flow import DatasetIterator as DatasetIterator
    from penstock.keras._directory_flow import DirectoryIterator as DirectoryIterator
    from penstock.keras._feed import Feed as Feed, feed as feed
    from penstock.keras._flow import Flow as Flow
    from penstock.keras._functions import (
        apply_affine_transform as apply_affine_transform,
        apply_brightness_shift as apply_brightness_shift,
        apply_channel_shift as apply_channel_shift,
        array_to_img as array_to_img,
        flip_axis as flip_axis,
        img_to_array as img_to_array,
        list_pictures as list_pictures,
        load_img as load_img,
        random_brightness as random_brightness,
        random_channel_shift as random_channel_shift,
        random_rotation as random_rotation,
        random_shear as random_shear,
        random_shift as random_shift,
        random_zoom as random_zoom,
        save_img as save_img,
        transform_matrix_offset_center as transform_matrix_offset_center,
        validate_filename as validate_filename,
    )
    from penstock.keras._image_data_generator import ImageDataGenerator as ImageDataGenerator
    from penstock.keras._iterator import Iterator as Iterator
    from penstock.keras._monitor import Monitor as Monitor
    from penstock.keras._shard_flow import ShardIterator as ShardIterator
    from penstock.keras._sql_flow import SqlIterator as SqlIterator

__version__ = "0.1.0"

_LAZY = {
    "DataFrameIterator": "penstock.keras._dataframe_flow",
    "DatasetIterator": "penstock.keras._dataset_flow",
    "DirectoryIterator": "penstock.keras._directory_flow",
    "Explanation": "penstock.batches._explain",
    "Feed": "penstock.keras._feed",
    "FeedStats": "penstock.feeding._stats",
    "Flow": "penstock.keras._flow",
    "feed": "penstock.keras._feed",
    "ImageDataGenerator": "penstock.keras._image_data_generator",
    "Iterator": "penstock.keras._iterator",
    "Monitor": "penstock.keras._monitor",
    "NumpyArrayIterator": "penstock.keras._array_flow",
    "ShardIterator": "penstock.keras._shard_flow",
    "SqlIterator": "penstock.keras._sql_flow",
    **dict.fromkeys(("evaluate_generator", "fit_generator", "predict_generator"), "penstock.keras._compat"),
    **dict.fromkeys(
        (
            "apply_affine_transform",
            "apply_brightness_shift",
            "apply_channel_shift",
            "array_to_img",
            "flip_axis",
            "img_to_array",
            "list_pictures",
            "load_img",
            "random_brightness",
            "random_channel_shift",
            "random_rotation",
            "random_shear",
            "random_shift",
            "random_zoom",
            "save_img",
            "transform_matrix_offset_center",
            "validate_filename",
        ),
        "penstock.keras._functions",
    ),
}

__all__ = [
    "BatchError",
    "FlowClosed",
    "ImageError",
    "PenstockError",
    "StoreError",
    "WorkerError",
    "__version__",
    *_LAZY,
]


_MODULES = ("callbacks", "monitor")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    if name in _MODULES:
        return import_module(f"penstock.{name}")
    raise AttributeError(f"module 'penstock' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
