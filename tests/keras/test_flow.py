"""Flows as users meet them: arguments, attributes, batches, bad input."""

from __future__ import annotations

import inspect
import os
import shutil
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras.src.legacy.preprocessing import image as oracle
from PIL import Image

import penstock
from penstock import FeedStats, FlowClosed, ImageDataGenerator, ImageError
from penstock.feeding.executors._threads import ThreadExecutor
from penstock.image import _kernels

X = np.random.default_rng(0).integers(0, 256, (10, 6, 8, 3), "uint8")
Y = np.arange(10)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        for k in range(6):
            Image.fromarray(rng.integers(0, 256, (20, 30, 3), "uint8")).save(tmp_path / name / f"{k}.jpg")
    return tmp_path


# --- signatures and attributes ---


@pytest.mark.parametrize(
    "name", ["__init__", "flow", "flow_from_directory", "fit", "standardize", "get_random_transform"]
)
def test_signatures_begin_with_kerass_parameters_order_and_defaults(name: str) -> None:
    ours = inspect.signature(getattr(ImageDataGenerator, name)).parameters
    keras_parameters = inspect.signature(getattr(oracle.ImageDataGenerator, name)).parameters
    assert list(ours)[: len(keras_parameters)] == list(keras_parameters)
    for parameter in keras_parameters.values():
        assert ours[parameter.name].default == parameter.default, parameter.name
    extra = list(ours.values())[len(keras_parameters) :]
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in extra)


def test_generator_attributes_are_kerass() -> None:
    options = {"zoom_range": 0.2, "samplewise_std_normalization": True, "samplewise_center": True, "cval": 3.0}
    theirs = vars(oracle.ImageDataGenerator(**options))
    ours = ImageDataGenerator(**options)
    for name, value in theirs.items():
        assert getattr(ours, name) == value, name


def test_flow_attributes_are_kerass(folder: Path) -> None:
    for ours, theirs in (
        (ImageDataGenerator().flow(X, Y, 4, seed=1), oracle.ImageDataGenerator().flow(X, Y, 4, seed=1)),
        (
            ImageDataGenerator().flow_from_directory(folder, (5, 7), seed=1),
            oracle.ImageDataGenerator().flow_from_directory(folder, (5, 7), seed=1),
        ),
    ):
        for name, value in vars(theirs).items():
            if name.startswith("_") or name in ("index_generator", "lock", "image_data_generator", "x"):
                assert hasattr(ours, name) or name.startswith("_"), name
                continue
            np.testing.assert_array_equal(getattr(ours, name), value, err_msg=name)
        for name in ("filepaths", "labels", "sample_weight"):
            if hasattr(theirs, name):
                np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)
        assert len(ours) == len(theirs)
        next(theirs)
        next(ours)
        assert (ours.batch_index, ours.total_batches_seen) == (theirs.batch_index, theirs.total_batches_seen)
        ours.close()


def test_a_flow_is_a_dataset_that_keras_takes() -> None:
    assert isinstance(ImageDataGenerator().flow(X), keras.utils.PyDataset)
    assert isinstance(ImageDataGenerator().flow(X), penstock.Flow)


def test_an_unknown_keyword_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="batchsize"):
        ImageDataGenerator().flow(X, batchsize=3)
    with pytest.raises(TypeError, match="rotation"):
        ImageDataGenerator(rotation=3)


# --- batches ---


def test_loops_are_endless_and_next_is_next() -> None:
    with ImageDataGenerator().flow(X, Y, 4, shuffle=False) as flow:
        labels = [flow.next()[1].tolist()]
        for _, y in flow:
            labels.append(y.tolist())
            if len(labels) == 7:
                break
    epoch = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert labels == (epoch * 3)[:7]


def test_reset_goes_on_to_the_next_epochs_start() -> None:
    with ImageDataGenerator().flow(X, Y, 4, seed=3) as flow, ImageDataGenerator().flow(X, Y, 4, seed=3) as twin:
        epochs = [[next(twin)[1].tolist() for _ in range(3)] for _ in range(3)]
        flow.reset()
        assert next(flow)[1].tolist() == epochs[0][0]
        flow.reset()
        assert [next(flow)[1].tolist() for _ in range(3)] == epochs[1]
        flow.reset()
        assert next(flow)[1].tolist() == epochs[2][0]


@pytest.mark.parametrize("workers", [0, 1, 2, 7])
def test_the_same_bytes_at_any_number_of_workers_and_any_batch_size(workers: int) -> None:
    generator = ImageDataGenerator(rotation_range=90, zoom_range=0.3, brightness_range=(0.5, 1.5), horizontal_flip=True)
    samples: dict[tuple[int, int], bytes] = {}
    for batch_size in (1, 3, 10):
        with generator.flow(X, Y, batch_size, seed=2**63, workers=workers) as flow:
            for epoch in range(2):
                for _ in range(len(flow)):
                    for image, y in zip(*next(flow), strict=True):
                        assert samples.setdefault((epoch, int(y)), image.tobytes()) == image.tobytes()
    assert len(set(samples.values())) == 20, "as many distinct draws as samples and epochs"


def test_a_seed_drawn_from_numpys_global_generator_makes_set_random_seed_work() -> None:
    def batch() -> tuple[int, np.ndarray]:
        keras.utils.set_random_seed(7)
        with ImageDataGenerator(rotation_range=90).flow(X) as flow:
            return flow.seed, next(flow)

    (seed, images), (again, same) = batch(), batch()
    assert seed == again
    np.testing.assert_array_equal(images, same)


@pytest.mark.parametrize(
    "dtype", ["uint8", "uint16", "int32", "int64", "bool", "float16", "float32", "float64", ">f4", ">u2"]
)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_any_real_dtype_and_layout_comes_through_unchanged(dtype: str, data_format: str) -> None:
    x = X.astype(dtype) if data_format == "channels_last" else np.moveaxis(X, 3, 1).astype(dtype)
    with ImageDataGenerator(data_format=data_format).flow(x, batch_size=10, shuffle=False) as flow:
        np.testing.assert_array_equal(next(flow), x.astype("float32"))
        assert flow.x is x, "nothing is copied"


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 7])
def test_any_number_of_channels(channels: int) -> None:
    x = np.random.default_rng(0).integers(0, 256, (4, 9, 5, channels), "uint8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with ImageDataGenerator(horizontal_flip=True).flow(x, batch_size=4, shuffle=False, seed=0) as flow:
            images = next(flow)
    for image, original in zip(images, x, strict=True):
        assert np.array_equal(image, original) or np.array_equal(image, original[:, ::-1])


def test_memory_maps_sliced_and_transposed_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for x in (
        mapped,
        X[::2],
        X[::-1],
        np.asfortranarray(X),
        X.transpose(0, 2, 1, 3),
        np.lib.stride_tricks.as_strided(X, writeable=False),
    ):
        with ImageDataGenerator().flow(x, batch_size=10, shuffle=False) as flow:
            np.testing.assert_array_equal(next(flow), x)


def test_extra_arrays_weights_and_python_objects() -> None:
    extra, weights = np.arange(20.0).reshape(10, 2), np.linspace(0, 1, 10)
    objects = np.array([{"k": k} for k in range(10)], object)
    with ImageDataGenerator().flow((X, [extra, extra + 1]), objects, 4, sample_weight=weights, seed=1) as flow:
        (images, first, second), y, w = next(flow)
        order = [item["k"] for item in y]
        np.testing.assert_array_equal(images, X[order])
        np.testing.assert_array_equal(first, extra[order])
        np.testing.assert_array_equal(second, extra[order] + 1)
        np.testing.assert_array_equal(w, weights[order])
        assert isinstance(flow[0][0], list)
    with ImageDataGenerator().flow((X, extra), batch_size=4, sample_weight=weights) as flow:
        images, first = next(flow)
        assert first.shape == (4, 2)


@pytest.mark.parametrize(
    ("class_mode", "expected"),
    [("categorical", [[1, 0], [0, 1]]), ("sparse", [0, 1]), ("binary", [0, 1]), ("input", None), (None, None)],
)
def test_class_modes(folder: Path, class_mode: str | None, expected: Any) -> None:
    with ImageDataGenerator().flow_from_directory(
        folder, (4, 4), class_mode=class_mode, batch_size=12, shuffle=False
    ) as flow:
        batch = next(flow)
    if class_mode is None:
        assert batch.shape == (12, 4, 4, 3)
        return
    images, labels = batch
    assert labels.dtype == np.float32
    np.testing.assert_array_equal(labels, images if class_mode == "input" else np.repeat(expected, 6, axis=0))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_fast_decoding_is_another_original_and_the_same_transform(folder: Path, interpolation: str) -> None:
    generator = ImageDataGenerator(rotation_range=20)
    options: dict[str, Any] = {"interpolation": interpolation, "batch_size": 4, "seed": 3}
    with (
        generator.flow_from_directory(folder, (7, 9), decode="fast", workers=0, **options) as fast,
        generator.flow_from_directory(folder, (7, 9), decode="fast", workers=2, **options) as again,
        generator.flow_from_directory(folder, (7, 9), **options) as exact,
    ):
        for one, other in ((fast[0], again[0]), (next(fast), next(again))):
            np.testing.assert_array_equal(one[0], other[0])
        seen, expected = fast.explain(0, 0, 1), exact.explain(0, 0, 1)
    with Image.open(str(seen.path)) as image:
        image.draft(None, (9, 7))
        assert image.size == (15, 10)
        resized = image.resize((9, 7), Image.Resampling[interpolation.upper()])
    np.testing.assert_array_equal(seen.original, np.asarray(resized))
    assert seen.parameters == expected.parameters
    assert (seen.original != expected.original).any()


def test_a_preprocessing_function_sees_augmented_unscaled_images_and_may_keep_them() -> None:
    kept = []

    def function(image: np.ndarray) -> np.ndarray:
        kept.append((image, image.copy()))
        return image.astype("float64") + 1

    generator = ImageDataGenerator(preprocessing_function=function, rescale=0.5, horizontal_flip=True)
    with generator.flow(X, Y, 5, seed=0, workers=2) as flow:
        for _ in range(20):
            images, labels = next(flow)
            for image, label in zip(images, labels, strict=True):
                expected = (X[label].astype("float32") + 1) * 0.5
                assert np.array_equal(image, expected) or np.array_equal(image, expected[:, ::-1])
    for image, copy in kept:
        assert image.dtype == np.float32
        np.testing.assert_array_equal(image, copy)


def test_a_function_that_draws_from_a_global_generator_is_pointed_out(capsys: pytest.CaptureFixture[str]) -> None:
    keras.config.enable_interactive_logging()
    for function, expected in (
        (lambda image: image + np.random.rand(), True),
        (lambda image: image + 1, False),
        (np.sqrt, False),
    ):
        with ImageDataGenerator(preprocessing_function=function).flow(X, workers=0) as flow:
            next(flow)
        assert ("draws from a global random generator" in capsys.readouterr().out) is expected


def test_save_to_dir_writes_what_is_delivered_and_nothing_ahead(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with ImageDataGenerator().flow(X, batch_size=4, shuffle=False, save_to_dir=out, save_prefix="a", workers=2) as flow:
        next(flow)
    names = sorted(path.name for path in out.iterdir())
    assert [name.rsplit("_", 1)[0] for name in names] == ["a_0", "a_1", "a_2", "a_3"]
    saved = np.asarray(Image.open(out / names[0]), float)
    image = X[0].astype(float)
    np.testing.assert_allclose(saved, (image - image.min()) / np.ptp(image) * 255, atol=1)


def test_a_batch_that_could_not_be_saved_is_not_lost(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with ImageDataGenerator().flow(X, Y, 4, shuffle=False, save_to_dir=out, workers=1) as flow:
        next(flow)
        out.rename(tmp_path / "elsewhere")
        with pytest.raises(FileNotFoundError):
            next(flow)
        out.mkdir()
        assert next(flow)[1].tolist() == [4, 5, 6, 7]


def test_subsets_are_the_first_share_and_validation_is_not_augmented(capsys: pytest.CaptureFixture[str]) -> None:
    keras.config.enable_interactive_logging()
    generator = ImageDataGenerator(rotation_range=90, validation_split=0.4, rescale=0.5)
    y = np.tile([0, 1], 5)
    with (
        generator.flow(X, y, 10, shuffle=False, subset="validation") as validation,
        generator.flow(X, y, 10, shuffle=False, subset="training") as training,
    ):
        np.testing.assert_array_equal(next(validation)[0], X[:4].astype("float32") * np.float32(0.5))
        assert next(training)[0].shape == (6, 6, 8, 3)
    assert 'subset="validation" is not augmented' in capsys.readouterr().out


def test_brightness_clips_to_the_dtypes_range_or_to_the_unit_range() -> None:
    for x, top in ((X, 255), (X.astype("uint16") * 257, 65535), (X / 255.0, 1), (X.astype("float32"), 255)):
        generator = ImageDataGenerator(brightness_range=(3.0, 3.0))
        with generator.flow(x, batch_size=10, shuffle=False) as flow:
            np.testing.assert_allclose(next(flow), np.clip(x * 3.0, 0, top), rtol=1e-6)


def test_what_fit_learns_is_used_and_what_it_has_not_learnt_is_said() -> None:
    generator = ImageDataGenerator(featurewise_center=True, featurewise_std_normalization=True)
    with warnings.catch_warnings(record=True) as caught, generator.flow(X, batch_size=4) as flow:
        warnings.simplefilter("always")
        next(flow)
        next(flow)
    said = [str(warning.message) for warning in caught]
    assert [text.split("`")[1] for text in said] == ["featurewise_center", "featurewise_std_normalization"]
    assert "hasn't been fit on any training data" in said[0]
    generator.fit(X)
    with generator.flow(X, batch_size=10) as flow:
        images = next(flow)
    np.testing.assert_allclose(images.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(images.std((0, 1, 2)), 1, atol=1e-4)


def test_a_mean_that_is_written_into_counts_from_the_next_batch_on() -> None:
    generator = ImageDataGenerator(featurewise_center=True)
    generator.mean = np.zeros((1, 1, 3))
    with generator.flow(np.full((8, 4, 4, 3), 100, np.uint8), batch_size=4, workers=0) as flow:
        for due in (100, 90, 80):
            assert (next(flow) == due).all()
            assert (flow.explain(0, 0, 0).rendered == due).all()
            generator.mean += 10


def test_a_mean_that_differs_by_pixel_is_used_as_it_is() -> None:
    generator = ImageDataGenerator(featurewise_center=True)
    generator.mean = X.mean(0)
    with generator.flow(X, batch_size=10, shuffle=False) as flow:
        np.testing.assert_allclose(next(flow), X - X.mean(0), rtol=1e-5, atol=1e-4)


# --- running and ending ---


@pytest.mark.parametrize("number", ["0", 1.5, None, slice(2)])
def test_a_batch_is_asked_for_by_an_integer(number: Any) -> None:
    with pytest.raises(TypeError, match="should be an integer"):
        ImageDataGenerator().flow(X)[number]


def test_whoever_makes_the_batches_waits_for_them_and_a_new_batch_size_keeps_the_counts() -> None:
    with ImageDataGenerator().flow(X, Y, 5, workers=0) as flow:
        next(flow)
        assert flow.stats.wait_s > 0
        flow.batch_size = 2
        next(flow)
        assert (flow.stats.batches, flow.stats.samples) == (2, 7)


def test_what_is_read_off_a_flow_is_a_copy() -> None:
    with ImageDataGenerator().flow(X, Y, 5, shuffle=False) as flow:
        next(flow)
        flow.index_array[:] = 0
        assert next(flow)[1].tolist() == [5, 6, 7, 8, 9]


def test_statistics_and_the_promised_bound() -> None:
    with ImageDataGenerator().flow(X, Y, 4, workers=1, max_queue_size=3) as flow:
        assert flow.stats == FeedStats()
        for _ in range(3):
            next(flow)
        assert (flow.stats.batches, flow.stats.samples) == (3, 10)
        assert flow.peak_bytes == 3 * (4 * 6 * 8 * 3 * 4 + 64)
        flow.max_queue_bytes = "3 KB"
        assert flow.peak_bytes <= 3000


def test_a_closed_flow_says_so_and_what_it_delivered_stays() -> None:
    flow = ImageDataGenerator().flow(X, batch_size=10, shuffle=False, workers=2)
    images = next(flow)
    flow.close()
    flow.close()
    np.testing.assert_array_equal(images, X)
    for ask in (lambda: next(flow), lambda: flow[0]):
        with pytest.raises(FlowClosed, match="this flow is closed; make a new one to go on"):
            ask()


def test_nothing_is_started_before_the_first_batch_and_by_zero_workers() -> None:
    before = threading.active_count()
    ImageDataGenerator().flow(X, workers=4)
    with ImageDataGenerator().flow(X, workers=0) as flow:
        next(flow)
        assert threading.active_count() == before


class Busy:
    """Makes one batch in a worker while this thread is busy in Python, and counts the lock's hand-overs.

    A thread that wants the interpreter lock gets it from a busy one after the switch interval, here 50 ms. So the time
    a batch takes, over 50 ms, is the number of times its worker had to ask; other programs only make it longer, so the
    shortest of a few tries counts.
    """

    interval_s = 0.05
    tries = 3

    def hand_overs(self, flow: penstock.Flow) -> float:
        from time import perf_counter

        from penstock.feeding._plan import Plan
        from penstock.feeding._slots import SlotPool

        maker = flow._make_batches()
        step = Plan(flow.n, flow.batch_size, maker.randomness.order, np.arange).step(0)
        pool = SlotPool(maker.spec, 1)
        out = pool.arrays(pool.fresh(), len(step.indices))
        executor = ThreadExecutor(1)
        executor.start(maker)
        executor.submit(step, out).result(60)
        usual = sys.getswitchinterval()
        sys.setswitchinterval(self.interval_s)
        try:
            times_s = []
            for _ in range(self.tries):
                began = perf_counter()
                future = executor.submit(step, out)
                while not future.done():
                    pass
                times_s.append(perf_counter() - began)
            return min(times_s) / self.interval_s
        finally:
            sys.setswitchinterval(usual)
            executor.close()


def test_an_in_memory_batch_costs_a_handful_of_lock_hand_overs_whatever_its_size() -> None:
    x = np.zeros((512, 8, 8, 3), "uint8")
    generator = ImageDataGenerator(rotation_range=45, channel_shift_range=9, horizontal_flip=True, rescale=0.1)
    assert Busy().hand_overs(generator.flow(x, np.zeros(512), 512, workers=1)) < 10


def test_files_cost_about_one_lock_hand_over_each(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for k in range(20):
        Image.fromarray(rng.integers(0, 256, (300, 400, 3), "uint8")).save(folder / "cats" / f"large{k}.jpg")
    flow = ImageDataGenerator(rotation_range=45).flow_from_directory(folder, (64, 64), batch_size=32, shuffle=False)
    assert Busy().hand_overs(flow) < 32 * 1.5 + 10


def test_cached_files_cost_a_handful_of_lock_hand_overs_whatever_their_number(folder: Path) -> None:
    for k in range(20):
        shutil.copy(folder / "cats" / "0.jpg", folder / "cats" / f"copy{k}.jpg")
    for path in folder.rglob("*.jpg"):
        os.utime(path, ns=(0, 10**18 + 1))  # a file that was written this moment is not kept yet
    flow = ImageDataGenerator(rotation_range=45).flow_from_directory(folder, (64, 64), batch_size=32, cache="memory")
    with flow:
        assert Busy().hand_overs(flow) < 10


def test_one_compiled_call_makes_an_in_memory_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    for name in ("render_packed", "render_planes", "standardize_many"):
        kernel = getattr(_kernels, name)
        monkeypatch.setattr(_kernels, name, lambda *a, kernel=kernel, name=name: (calls.append(name), kernel(*a))[1])
    with ImageDataGenerator(rotation_range=9, samplewise_center=True, rescale=2.0).flow(
        X, batch_size=10, workers=0
    ) as flow:
        next(flow)
    assert calls == ["render_packed"]


# --- bad input ---


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"zoom_range": "a lot"}, "`zoom_range` should be a float or a tuple or list of two floats"),
        ({"zoom_range": (1, 2, 3)}, "`zoom_range` should be"),
        ({"zoom_range": (float("nan"), 1.0)}, "`zoom_range` should hold finite numbers"),
        ({"brightness_range": 0.5}, "`brightness_range should be tuple or list of two floats"),
        ({"brightness_range": ("a", "b")}, "`brightness_range` should hold finite numbers"),
        ({"rotation_range": float("inf")}, "`rotation_range` should hold finite numbers"),
        ({"rotation_range": "45"}, "`rotation_range` should hold finite numbers"),
        ({"width_shift_range": "wide"}, "`width_shift_range` should be"),
        ({"height_shift_range": [[1, 2]]}, "`height_shift_range` should have at most one dimension"),
        ({"fill_mode": "mirrored"}, "`fill_mode` should be one of 'nearest'"),
        ({"interpolation_order": 6}, "`interpolation_order` should be an integer from 0 to 5"),
        ({"validation_split": 1.5}, "`validation_split` must be strictly between 0 and 1"),
        ({"data_format": "channels_middle"}, "`data_format` should be"),
        ({"zoom_range": None}, "`zoom_range` should be a float or a tuple or list of two floats"),
        ({"rescale": "1/255"}, "`rescale` should be None or a finite number"),
        ({"rescale": float("nan")}, "`rescale` should be None or a finite number"),
        ({"semantics": "tf"}, '`semantics` should be "corrected" or "keras"'),
    ],
)
def test_wrong_ranges_are_refused_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageDataGenerator(**options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": X, "y": Y[:3]}, r"`x` \(images tensor\) and `y` \(labels\) should have the same length"),
        ({"x": X, "sample_weight": Y[:3]}, "`x` .* and `sample_weight` should have the same length"),
        ({"x": (X, [Y[:3]])}, "All of the arrays in `x` should have the same length"),
        ({"x": (X, Y, Y)}, "a pair"),
        ({"x": X[0]}, r"should have rank 4. You passed an array with shape \(6, 8, 3\)"),
        ({"x": X[:0]}, "at least one image"),
        ({"x": X.astype(str)}, "should be numbers"),
        ({"x": X, "batch_size": 0}, "`batch_size` should be a positive integer. Received: 0"),
        ({"x": X, "seed": -1}, "`seed` should be None or an integer from 0"),
        ({"x": X, "subset": "test"}, "Invalid subset name: test"),
        ({"x": X, "workers": -1}, '`workers` should be "auto" or an integer from 0 on. Received: -1'),
        ({"x": X, "workers": "many"}, "`workers` should be"),
        ({"x": X, "max_queue_size": 0}, "`max_queue_size` should be an integer from 1 on"),
        ({"x": X, "max_queue_bytes": "lots"}, "`max_queue_bytes` should be"),
        ({"x": X, "save_to_dir": "/no/such/folder"}, "`save_to_dir` should be a folder that exists"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_before_anything_starts(arguments: dict[str, Any], message: str) -> None:
    before = threading.active_count()
    with pytest.raises(ValueError, match=message):
        ImageDataGenerator().flow(**arguments)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"color_mode": "cmyk"}, "Invalid color mode: cmyk"),
        ({"class_mode": "many"}, "Invalid class_mode: many"),
        ({"interpolation": "magic"}, "Invalid interpolation method magic"),
        ({"decode": "draft"}, '`decode` should be "exact" or "fast"'),
        ({"target_size": (0, 5)}, "`target_size` should be two positive integers"),
        ({"target_size": 8}, "`target_size` should be two positive integers"),
        ({"classes": ["cats", "dogs", "cats"]}, "`classes` should name each class once"),
        ({"target_size": (5, 5, 3)}, "`target_size` should be two positive integers"),
        ({"subset": "test"}, "Invalid subset name: test"),
        ({"classes": ["birds"]}, "No images found in the 1 class folders"),
    ],
)
def test_wrong_folder_arguments_are_refused(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageDataGenerator().flow_from_directory(folder, **options)


def test_a_missing_an_empty_and_a_wrong_folder_say_so(tmp_path: Path) -> None:
    generator = ImageDataGenerator()
    with pytest.raises(ValueError, match="does not exist"):
        generator.flow_from_directory(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds no folder"):
        generator.flow_from_directory(tmp_path)
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError, match="No images found"):
        generator.flow_from_directory(tmp_path)
    (tmp_path / "a.jpg").write_text("")
    with pytest.raises(ValueError, match="is a file"):
        generator.flow_from_directory(tmp_path / "a.jpg")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_file_names_its_path_and_the_flow_can_go_on(folder: Path, workers: int) -> None:
    bad = folder / "dogs" / "0.jpg"
    good = bad.read_bytes()
    for content in (b"", b"this is no image", good[: len(good) // 2]):
        bad.write_bytes(content)
        with ImageDataGenerator().flow_from_directory(
            folder, (8, 8), batch_size=4, shuffle=False, workers=workers
        ) as flow:
            next(flow)
            with pytest.raises(ImageError, match="cannot be read as an image") as caught:
                next(flow)
            assert str(bad) in str(caught.value)
            assert (caught.value.path, caught.value.index, caught.value.epoch, caught.value.step) == (str(bad), 6, 0, 1)
            bad.write_bytes(good)
            assert next(flow)[0].shape == (4, 8, 8, 3)
    bad.unlink()
    with (
        ImageDataGenerator().flow_from_directory(folder, (8, 8), batch_size=12, shuffle=False, workers=workers) as flow,
    ):
        (folder / "cats" / "3.jpg").unlink()
        with pytest.raises(ImageError, match=r"3\.jpg' cannot be read: No such file"):
            next(flow)


def test_a_decompression_bomb_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
    with (
        ImageDataGenerator().flow_from_directory(folder, (8, 8), workers=1) as flow,
        pytest.raises(ImageError, match="DecompressionBomb"),
    ):
        next(flow)


@pytest.mark.parametrize("returned", [None, np.zeros(3), np.zeros((6, 8, 1))])
def test_a_function_that_returns_something_else_is_told_what_was_due(returned: Any) -> None:
    generator = ImageDataGenerator(preprocessing_function=lambda image: returned)
    with (
        generator.flow(X, workers=1) as flow,
        pytest.raises(penstock.BatchError, match=r"should return an image of the shape it was given, \(6, 8, 3\)"),
    ):
        next(flow)


@pytest.mark.parametrize("ask", [lambda flow: next(flow), lambda flow: flow[0]])
def test_a_function_that_asks_its_own_flow_for_a_batch_is_refused_and_does_not_wait_for_itself(ask: Any) -> None:
    flows: list[penstock.Flow] = []
    generator = ImageDataGenerator(preprocessing_function=lambda image: ask(flows[0]))
    with generator.flow(X, workers=2) as flow:
        flows.append(flow)
        with pytest.raises(penstock.BatchError, match="asks the same flow for a batch; give it a flow of its own"):
            next(flow)
        flows.clear()


def test_a_function_may_close_its_own_flow() -> None:
    flows: list[penstock.Flow] = []
    generator = ImageDataGenerator(preprocessing_function=lambda image: (flows[0].close(), image)[1])
    with generator.flow(X, workers=1) as flow:
        flows.append(flow)
        with pytest.raises(FlowClosed):
            _ = [next(flow) for _ in range(3)]
        flows.clear()


def test_image_methods_agree_with_keras() -> None:
    options = {"rotation_range": 30, "zoom_range": 0.2, "channel_shift_range": 20, "brightness_range": (0.5, 1.5)}
    ours, theirs = ImageDataGenerator(**options, semantics="keras"), oracle.ImageDataGenerator(**options)
    image = X[0].astype("float32")
    parameters = theirs.get_random_transform(image.shape, seed=3)
    assert ours.get_random_transform(image.shape, seed=3) == pytest.approx(parameters)
    np.testing.assert_allclose(
        ours.apply_transform(image, parameters), theirs.apply_transform(image, parameters), atol=1.01
    )
    assert ours.apply_transform(image, {}) is image
    with pytest.raises(ValueError, match="multi-channel 2D images"):
        ours.apply_transform(image[0], {})


def test_settings_changed_on_the_generator_count_from_the_next_batch_on() -> None:
    x = np.ones((8, 4, 4, 3), "float32")
    generator = ImageDataGenerator()
    with generator.flow(x, batch_size=2, shuffle=False, seed=1) as flow:
        assert next(flow).max() == 1
        generator.rescale = 0.5
        assert next(flow).max() == 0.5
        assert flow.total_batches_seen == 2
        generator.preprocessing_function = lambda image: image * 4
        assert flow[0].max() == next(flow).max() == 2


def test_what_a_replaced_method_returns_should_be_an_image() -> None:
    class Wrong(ImageDataGenerator):
        def standardize(self, x: Any) -> Any:
            return x.mean()

    with (
        Wrong().flow(np.ones((4, 3, 3, 1)), batch_size=2) as flow,
        pytest.raises(penstock.BatchError, match="should return an image of the shape it was given"),
    ):
        next(flow)
