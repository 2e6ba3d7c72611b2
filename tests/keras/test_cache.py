"""Decoded images that are kept: the same batches with less work."""

from __future__ import annotations

import gc
import multiprocessing
import os
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import penstock
from leftovers import shared_memory
from penstock import Flow, ImageDataGenerator
from penstock.batches import _image_rows
from photographs import write_photographs

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs flock")
RECEIVED: dict[str, Any] = {"rotation_range": 40, "zoom_range": 0.3, "channel_shift_range": 20, "rescale": 1 / 255}
OPTIONS: dict[str, Any] = {"target_size": (17, 15), "batch_size": 4, "seed": 3}


def date_back(folder: Path) -> Path:
    """Files that were written this moment are not kept yet."""
    for path in folder.rglob("*.*"):
        os.utime(path, ns=(0, 10**18 + 1))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_photographs(tmp_path / "images", cats=6, dogs=5)
    return date_back(tmp_path / "images")


@pytest.fixture(scope="module")
def every_format(formats: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return date_back(shutil.copytree(formats, tmp_path_factory.mktemp("cached") / "formats"))


def flow_of(folder: Path, cache: Any = None, **options: Any) -> Flow:
    return ImageDataGenerator(**RECEIVED).flow_from_directory(folder, cache=cache, **{**OPTIONS, **options})


def batches(flow: Flow, epochs: int = 2) -> list[Any]:
    with flow:
        return [next(flow) for _ in range(epochs * len(flow))]


def assert_same(ones: list[Any], others: list[Any]) -> None:
    assert len(ones) == len(others)
    for one, other in zip(ones, others, strict=True):
        for a, b in zip(one, other, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


def test_images_that_were_decoded_fast_are_kept_apart(folder: Path, tmp_path: Path) -> None:
    expected = {decode: batches(flow_of(folder, decode=decode)) for decode in ("exact", "fast")}
    for _ in range(2):
        for decode, made in expected.items():
            assert_same(batches(flow_of(folder, tmp_path / "cache", decode=decode)), made)
    assert (expected["exact"][0][0] != expected["fast"][0][0]).any()


FORMATS: list[dict[str, Any]] = [
    {"color_mode": "rgb", "interpolation": "nearest"},
    {"color_mode": "rgba", "interpolation": "bilinear", "keep_aspect_ratio": True},
    {"color_mode": "grayscale", "interpolation": "nearest", "keep_aspect_ratio": True},
    {"color_mode": "grayscale", "interpolation": "lanczos"},
    {"color_mode": "rgb", "interpolation": "box", "target_size": (40, 64)},
]


@pytest.mark.parametrize("semantics", ["corrected", "keras"])
@pytest.mark.parametrize("loading", FORMATS, ids=lambda loading: "-".join(map(str, loading.values())))
def test_every_format_and_depth_makes_the_same_batches(
    every_format: Path, tmp_path: Path, loading: dict[str, Any], semantics: str
) -> None:
    def flow(cache: Any) -> Flow:
        generator = ImageDataGenerator(**RECEIVED, semantics=semantics, interpolation_order=1)
        return generator.flow_from_directory(every_format, cache=cache, workers=0, **{**OPTIONS, **loading})

    expected = batches(flow(None))
    for cache, epochs in (("memory", 1), (tmp_path / "cache", 1), (tmp_path / "cache", 2)):
        cached = flow(cache)
        assert_same(batches(cached), expected)
        assert cached.stats.cache_hits == epochs * cached.n


@pytest.mark.parametrize(
    "generator",
    [
        {"featurewise_center": True, "fill_mode": "constant", "cval": 3.5},
        {"preprocessing_function": lambda image: image[::-1] * 0.5},
        {"rotation_range": 30, "interpolation_order": 3},
        {"brightness_range": (0.5, 1.5), "data_format": "channels_first", "horizontal_flip": True},
        {"samplewise_center": True, "samplewise_std_normalization": True, "dtype": "float64"},
    ],
    ids=lambda generator: next(iter(generator)),
)
def test_every_treatment_makes_the_same_batches(folder: Path, generator: dict[str, Any]) -> None:
    def flow(cache: Any) -> Flow:
        treated = ImageDataGenerator(**generator)
        if "featurewise_center" in generator:
            treated.fit(np.ones((2, 17, 15, 3)))
        return treated.flow_from_directory(folder, cache=cache, workers=0, **OPTIONS)

    assert_same(batches(flow("memory")), batches(flow(None)))


EXECUTORS: dict[str, dict[str, Any]] = {
    "caller": {"workers": 0},
    "threads": {"workers": 3},
    "processes": {"workers": 2, "use_multiprocessing": True},
}


@pytest.mark.parametrize("how", EXECUTORS.values(), ids=EXECUTORS)
@pytest.mark.parametrize("place", ["memory", "folder"])
def test_every_executor_makes_the_same_batches_and_shares_what_is_kept(
    folder: Path, tmp_path: Path, how: dict[str, Any], place: str
) -> None:
    expected = batches(flow_of(folder, workers=0), 3)
    with flow_of(folder, "memory" if place == "memory" else tmp_path / "cache", max_queue_size=1, **how) as flow:
        made = [next(flow) for _ in range(3 * len(flow))]
        assert_same(made, expected)
        stats = flow.stats
    assert stats.cache_images == 11
    assert stats.cache_hits >= 11  # all of the third epoch, whoever made the first
    if not how["workers"]:
        assert (stats.cache_hits, stats.cache_bytes) == (22, 11 * 768)  # 765 values and what fills them up


@pytest.mark.skipif(sys.platform != "linux", reason="a pool's processes need Linux")
def test_a_users_pool_makes_the_same_batches(folder: Path) -> None:
    expected = batches(flow_of(folder, workers=0))
    with ThreadPoolExecutor(2) as threads:
        flow = flow_of(folder, "memory", pool=threads)
        assert_same(batches(flow), expected)
    with multiprocessing.get_context("forkserver").Pool(1) as pool:
        flow = flow_of(folder, "memory", pool=pool)
        assert_same(batches(flow), expected)
        assert flow.stats.cache_hits == 11


@pytest.mark.parametrize("on_error", ["skip", "substitute"])
def test_bad_files_are_bad_each_time(folder: Path, on_error: str) -> None:
    (folder / "cats" / "2.jpg").write_bytes(b"no image")
    (folder / "dogs" / "0.jpg").write_bytes((folder / "dogs" / "0.jpg").read_bytes()[:300])
    date_back(folder)
    plain, cached = (flow_of(folder, cache, on_error=on_error, workers=0) for cache in (None, "memory"))
    assert_same(batches(cached), batches(plain))
    assert cached.stats.bad == plain.stats.bad
    assert cached.stats.bad_samples == plain.stats.bad_samples == 4
    with flow_of(folder, "memory", shuffle=False) as flow, pytest.raises(penstock._errors.ImageError, match=r"2\.jpg"):
        next(flow)


def test_a_file_that_changes_is_read_anew(folder: Path) -> None:
    with flow_of(folder, "memory", workers=0, batch_size=11, shuffle=False) as flow:
        first, second = next(flow), next(flow)
        assert flow.stats.cache_hits == 11
        Image.new("RGB", (50, 40), (200, 0, 0)).save(folder / "cats" / "3.jpg")
        (folder / "dogs" / "4.jpg").unlink()
        with pytest.raises(penstock._errors.ImageError, match=r"4\.jpg"):
            next(flow)
    del first, second
    with (
        flow_of(folder, "memory", workers=0, batch_size=10, shuffle=False) as flow,
        flow_of(folder, workers=0, batch_size=10, shuffle=False) as plain,
    ):
        next(flow), next(plain)
        Image.new("RGB", (50, 40), (0, 200, 0)).save(folder / "cats" / "3.jpg")
        assert_same([next(flow)], [next(plain)])
        assert flow.stats.cache_hits == 9


def test_what_is_cached_is_not_decoded(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = batches(flow_of(folder, tmp_path / "cache"))

    def fail(*args: Any) -> Any:
        raise AssertionError("decoded")

    monkeypatch.setattr(_image_rows, "decode_groups", fail)
    frame = pd.DataFrame({"filename": sorted(map(str, folder.rglob("*.jpg")), reverse=True)})
    frame["class"] = [os.path.basename(os.path.dirname(name)) for name in frame["filename"]]
    assert_same(batches(flow_of(folder, tmp_path / "cache")), expected)
    listed = ImageDataGenerator(**RECEIVED).flow_from_dataframe(frame, cache=tmp_path / "cache", **OPTIONS)
    assert len(batches(listed, 1)) == 3
    assert listed.stats.cache_hits == 11
    # Made otherwise, it is another image.
    with flow_of(folder, tmp_path / "cache", target_size=(9, 9)) as flow, pytest.raises(RuntimeError, match="decoded"):
        next(flow)


def test_a_bound_keeps_what_there_is_room_for(folder: Path, tmp_path: Path) -> None:
    expected = batches(flow_of(folder), 3)
    for cache in ("memory", tmp_path / "cache"):
        flow = flow_of(folder, cache, cache_bytes="4KB", workers=0)
        assert_same([next(flow) for _ in range(3 * len(flow))], expected)
        stats = flow.stats
        assert 0 < stats.cache_images <= 5
        assert stats.cache_bytes <= 4000
        assert stats.cache_hits == 2 * stats.cache_images
        flow.close()


def test_two_flows_share_a_folder(folder: Path, tmp_path: Path) -> None:
    expected = batches(flow_of(folder), 2)
    with flow_of(folder, tmp_path / "cache") as one, flow_of(folder, tmp_path / "cache") as other:
        both = [(next(one), next(other)) for _ in range(2 * len(one))]
    assert_same([first for first, _ in both], expected)
    assert_same([second for _, second in both], expected)


def test_everything_else_goes_on_as_it_did(folder: Path) -> None:
    with flow_of(folder, "memory") as cached, flow_of(folder) as plain:
        next(cached), next(plain)
        state = cached.state_dict()
        assert state == plain.state_dict()
        assert_same([next(cached), cached[1]], [next(plain), plain[1]])
        cached.load_state_dict(state), plain.load_state_dict(state)
        assert_same([next(cached)], [next(plain)])
        ones, others = cached.explain(1, 2, 1), plain.explain(1, 2, 1)
        np.testing.assert_array_equal(ones.original, others.original)
        np.testing.assert_array_equal(ones.rendered, others.rendered)
        assert ones.path == others.path
        np.testing.assert_array_equal(cached.preview(2, 2), plain.preview(2, 2))
        hits = cached.stats.cache_hits
        cached.batch_size = plain.batch_size = 11  # a new maker, the same images
        assert_same([next(cached)], [next(plain)])
        assert cached.stats.cache_hits == hits + 11


def test_closing_frees_the_memory(folder: Path) -> None:
    gc.collect()
    before = shared_memory()
    flow = flow_of(folder, "memory")
    next(flow)
    if sys.platform == "linux":
        assert len(shared_memory()) > len(before)
    flow.close(), flow.close()
    assert flow.stats.cache_images == 0
    gc.collect()
    assert shared_memory() == before
    forgotten = flow_of(folder, "memory")
    next(forgotten)
    del forgotten
    gc.collect()
    for thread in threading.enumerate():
        if thread.name.startswith("penstock-"):
            thread.join(60)
    gc.collect()
    assert shared_memory() == before


def test_what_cannot_be_kept_is_said_once(folder: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "file").touch()
    expected = batches(flow_of(folder))
    assert_same(batches(flow_of(folder, tmp_path / "later" / "cache")), expected)
    flow = flow_of(folder, tmp_path / "later" / "more")
    shutil.rmtree(tmp_path / "later")
    (tmp_path / "later").touch()
    assert_same(batches(flow), expected)
    said = [line for line in capsys.readouterr().out.splitlines() if "cache" in line]
    (line,) = said
    assert line.startswith("penstock: the cache cannot be used: Not a directory ('")
    assert line.endswith("/later/more'). Files are decoded each time.")


def test_a_folder_at_home_is_found_there(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    batches(flow_of(folder, "~/kept", workers=0), 1)
    assert len(list((tmp_path / "home" / "kept").glob("*.images"))) == 1
    assert not (tmp_path / "~").exists()


def test_keywords_that_are_none(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for error, match, options in (
        (TypeError, r"`cache` should be None, \"memory\" or the path of a folder\. Received: True", {"cache": True}),
        (ValueError, r"`cache` should be None.*Received: 'Memory'", {"cache": "Memory"}),
        (ValueError, r"`cache` should be None.*Received: ''", {"cache": ""}),
        (ValueError, r"`cache` should be a folder.*file' is a file", {"cache": tmp_path / "file"}),
        (ValueError, r"elsewhere than beside the classes.*'kept'", {"cache": folder / "kept"}),
        (ValueError, r"`cache_bytes` bounds a cache.*Received: '1GB'", {"cache_bytes": "1GB"}),
        (ValueError, r"`cache_bytes` should be a positive integer.*'much'", {"cache": "memory", "cache_bytes": "much"}),
        (ValueError, r"`cache_bytes` should be a positive integer.*0", {"cache": "memory", "cache_bytes": 0}),
        (ValueError, r"`cache_bytes` should be a positive integer.*'0GB'", {"cache": "memory", "cache_bytes": "0GB"}),
        (ValueError, r"`cache_bytes` should be a positive.*'9+'", {"cache": "memory", "cache_bytes": "9" * 400}),
    ):
        with pytest.raises(error, match=match):
            flow_of(folder, **options)
    for cache in (folder / ".kept", str(tmp_path / "elsewhere"), folder / "cats" / "kept"):
        flow_of(folder, cache).close()
    with pytest.raises(TypeError, match="unexpected keyword argument 'cache'"):
        ImageDataGenerator().flow(np.zeros((2, 3, 3, 3)), cache="memory")  # type: ignore[call-arg]
