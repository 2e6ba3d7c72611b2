"""What a run is made of, as texts by name: generator, flow, data, model, optimizer, `fit`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from penstock.batches._structure import flatten
from penstock.feeding._digest import BatchDigest, digest_of
from penstock.keras._array_flow import NumpyArrayIterator
from penstock.keras._feed import Feed
from penstock.keras._file_flow import FileFlow
from penstock.keras._fit_call import Fed, FitCall
from penstock.keras._flow import Flow
from penstock.keras._generator_feed import GeneratorFeed
from penstock.keras._image_data_generator import ImageDataGenerator
from penstock.keras._shard_flow import ShardIterator
from penstock.sources._remote_parts import RemoteParts
from penstock.tracking._secrets import mask_value

_FLOW_SETTINGS = (
    "batch_size", "shuffle", "seed", "max_queue_size", "max_queue_bytes", "on_error", "subset",
    "target_size", "color_mode", "class_mode", "interpolation", "keep_aspect_ratio", "data_format", "dtype", "parts",
)  # fmt: skip
_DATA_SETTINGS = ("n", "directory", "num_classes", "class_indices", "database", "table")
_LEARNT = ("mean", "std", "zca_whitening_matrix")
_MUCH_BYTES = 2 << 30  # of an array: 2 to 3 s; of a larger one, rows all through it
_SAMPLED_ROWS = 4096
_CHUNK_BYTES = 64 << 20


def words(part: str, settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings as texts, with what must not be recorded masked.

    Args:
        part: what they are settings of; the first part of their names.
    """
    return {f"{part}.{name}": mask_value(name, word(value)) for name, value in settings.items()}


def word(value: Any) -> str:
    """One setting, so that the same value is the same text in every process."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} {digest_of([value])}"
    if isinstance(value, np.generic):
        return str(value.item())
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if isinstance(value, float | int | str | bool | None):
        return str(value)
    if isinstance(value, list | tuple):
        return f"({', '.join(map(word, value))})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{word(name)}: {word(each)}" for name, each in value.items()) + "}"
    return type(value).__qualname__ if " object at 0x" in repr(value) else repr(value)


def flow_params(flow: Fed) -> dict[str, str]:
    """How batches are made, and what of."""
    feeding = flow._feeding
    settings = {name: getattr(flow, name) for name in _FLOW_SETTINGS if hasattr(flow, name)}
    settings |= {
        "kind": type(flow).__name__,
        "use_multiprocessing": feeding.use_multiprocessing,
        "workers": "auto" if flow.is_auto else feeding.workers,
        "shard": (feeding.shard.rank, feeding.shard.world),
        "pool": None if feeding.pool is None else "the user's",
    }
    known = words("flow", settings)
    known |= words("data", {name: getattr(flow, name) for name in _DATA_SETTINGS if hasattr(flow, name)})
    if isinstance(flow, Flow):
        known |= words("generator", generator_settings(flow.image_data_generator))
    if isinstance(flow, Feed):
        known |= words("data", {"kind": type(flow.data)})
    return known


def generator_settings(generator: Any) -> dict[str, Any]:
    """An `ImageDataGenerator`'s, by the names of its arguments, and what `fit` has learnt."""
    names = [name for name in inspect.signature(ImageDataGenerator).parameters if name not in ("pool", "dim_ordering")]
    settings = {name: getattr(generator, name, None) for name in names if name != "validation_split"}
    settings["validation_split"] = getattr(generator, "_validation_split", 0)
    settings["kind"] = type(generator)
    return settings | {name: value for name in _LEARNT if (value := getattr(generator, name, None)) is not None}


def fit_params(call: FitCall) -> dict[str, str]:
    """What `fit` was told."""
    validation = call.validation
    settings: dict[str, Any] = {**call.settings, "data": None if call.data is None else type(call.data)}
    settings["validation_data"] = None if validation is None else type(validation)
    return words("fit", settings) | {"fit.backend": keras.backend.backend()}


def model_params(model: Any) -> dict[str, str]:
    """The model and its optimizer, with their settings."""
    settings = {
        "kind": type(model),
        "name": model.name,
        "layers": len(model.layers),
        "parameters": model.count_params() if model.built else None,
        "trainable_parameters": sum(int(np.prod(weight.shape)) for weight in model.trainable_weights),
        "loss": getattr(model, "loss", None),
        "dtype_policy": getattr(getattr(model, "dtype_policy", None), "name", None),
        "jit_compile": getattr(model, "jit_compile", None),
        "steps_per_execution": getattr(model, "steps_per_execution", None),
    }
    known = words("model", settings)
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None:
        known |= words("optimizer", {"kind": type(optimizer).__name__, **optimizer.get_config()})
    return known


def model_text(model: Any) -> str:
    """What `model.summary()` prints."""
    lines: list[str] = []
    model.summary(print_fn=lambda line, **_: lines.append(str(line)), line_length=100)
    return "\n".join(lines) + "\n"


def file_names(flow: Fed) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Paths as they are opened, and names as they are listed, of a flow of files or archives; nothing of others."""
    if isinstance(flow, ShardIterator):
        is_local = not isinstance(flow.archives, RemoteParts)
        return (tuple(flow.shards), tuple(map(os.path.basename, flow.shards))) if is_local else ((), ())
    if not isinstance(flow, FileFlow) or flow._found.encoded is not None:
        return (), ()
    return tuple(flow.filepaths), tuple(flow.filenames)


def listed_files(flow: Fed) -> tuple[tuple[str, int, str], ...]:
    """Names, bytes and tags of files that lie elsewhere, as they were listed; nothing of others."""
    if isinstance(flow, ShardIterator):
        there = flow.archives
        names = map(os.path.basename, flow.shards)
        return tuple(zip(names, there.sizes, there.tags, strict=True)) if isinstance(there, RemoteParts) else ()
    known = flow._found.known if isinstance(flow, FileFlow) else None
    if not isinstance(flow, FileFlow) or known is None:
        return ()
    return tuple(zip(flow.filenames, known.sizes.tolist(), known.tags, strict=True))


def fingerprints(call: FitCall) -> Callable[[], dict[str, str]]:
    """A function that finds out what arrays and labels are told by, which takes up to seconds; files are left out."""
    flow = call.flow
    parts: dict[str, Any]
    if isinstance(flow, NumpyArrayIterator):
        parts = {
            "fingerprint": [flow.x, *flow.x_misc],
            "labels_fingerprint": flow.y,
            "weights_fingerprint": flow.sample_weight,
        }
    elif isinstance(flow, FileFlow):
        parts = {"labels_fingerprint": getattr(flow, "labels", None), "weights_fingerprint": flow.sample_weight}
    elif isinstance(flow, Feed | GeneratorFeed):
        parts = {}
    else:
        parts = {"fingerprint": call.data, "labels_fingerprint": call.labels, "weights_fingerprint": call.weights}

    def find_out() -> dict[str, str]:
        found = {f"data.{name}": fingerprint for name, part in parts.items() if (fingerprint := _fingerprint(part))}
        return {name: text for name, text in found.items() if text}

    return find_out


def _fingerprint(part: Any) -> str:
    """Of arrays, nested or not; empty for anything else."""
    if part is None:
        return ""
    digest, sampled = BatchDigest(), False
    for leaf in flatten(part)[1]:
        if isinstance(leaf, np.ndarray) and leaf.ndim and leaf.nbytes > _CHUNK_BYTES and not leaf.dtype.hasobject:
            sampled |= leaf.nbytes > _MUCH_BYTES
            digest.add([np.array(leaf.shape)])
            for rows in _chunks(leaf):
                digest.add([rows])
            continue
        try:
            digest.add([leaf])
        except (TypeError, ValueError):  # a dataset, an iterator
            return ""
    return f"{'rows:' * sampled}{digest.hex}"


def _chunks(array: Any) -> Any:
    """An array's rows, or some all through it, so many at a time that a copy of them does not matter."""
    if array.nbytes > _MUCH_BYTES:
        for row in np.linspace(0, len(array) - 1, min(len(array), _SAMPLED_ROWS)).astype(int):
            yield array[row]
        return
    rows = max(1, _CHUNK_BYTES * len(array) // array.nbytes)
    for start in range(0, len(array), rows):
        yield array[start : start + rows]
