"""`semantics="keras"` is what Keras's own class does: the same settings and seed, the same stream of batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from parity import FEW, assert_equal_streams, assert_same_stream, both, settings_of_keras, stream
from penstock import ImageDataGenerator
from strategies import FILL_MODES, assert_alike, examples, geometries, pixels, quiet

WORKERS = (0, 1, 2, 5)

number_seeds = st.integers(0, 2**31)

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*channels on axis.*:UserWarning"),
]


# --- flow -----------------------------------------------------------------------------------------------------------


@st.composite
def flows(draw: st.DrawFn) -> dict[str, Any]:
    """Images, how they are stored, and what goes beside them."""
    count = draw(st.integers(5, 12))
    channels_first = draw(st.sampled_from([False, False, True]))
    channels = draw(st.sampled_from([1, 2, 3, 3, 4]))
    size = draw(st.sampled_from([(8, 13), (13, 8), (11, 11), (20, 7), (5, 40)]))
    seed = draw(number_seeds)
    shape = (count, channels, *size) if channels_first else (count, *size, channels)
    dtype = draw(st.sampled_from(["uint8", "uint8", "uint16", "int16", "bool", "float16", "float32", "float64"]))
    if dtype == "bool":
        images = pixels(seed, shape, "uint8") > 100
    elif np.dtype(dtype).kind == "f":
        low, high = draw(st.sampled_from([(0, 1), (0, 255), (-1, 1), (-300, 900)]))
        images = np.random.default_rng(seed).uniform(low, high, shape).astype(dtype)
    else:
        images = pixels(seed, shape, dtype)
    if draw(st.booleans()):
        images = np.asfortranarray(images)
    labels = {
        "none": None,
        "int": np.arange(count),
        "float": np.linspace(0, 1, count),
        "one-hot": np.eye(count, dtype="float32"),
        "text": np.array([f"label {k}" for k in range(count)]),
        "list": list(range(count)),
    }[draw(st.sampled_from(["none", "int", "float", "one-hot", "text", "list"]))]
    settings = draw(settings_of_keras(brightness=not channels_first and channels in (1, 3, 4)))
    flow: dict[str, Any] = {
        "y": labels,
        "batch_size": draw(st.integers(1, count + 2)),
        "shuffle": draw(st.booleans()),
        "seed": draw(number_seeds),
    }
    if draw(st.booleans()):
        settings["validation_split"] = 0.4
        flow["subset"] = draw(st.sampled_from(["training", "validation"]))
        flow["ignore_class_split"] = True
    if labels is not None and draw(st.booleans()):
        flow["sample_weight"] = np.random.default_rng(seed).uniform(0, 1, count)
    settings["data_format"] = "channels_first" if channels_first else draw(st.sampled_from([None, "channels_last"]))
    extras = [[], [np.arange(count)], [np.arange(3 * count).reshape(count, 3), np.ones(count, "int8")]]
    return {"images": images, "extras": draw(st.sampled_from(extras)), "settings": settings, "flow": flow}


@examples(120)
@given(flows())
def test_flow_streams_what_keras_streams_at_any_number_of_workers(case: dict[str, Any]) -> None:
    """All parameters at random, over three epochs."""
    images, extras = case["images"], case["extras"]
    before = images.copy()
    keras, ours = both(**case["settings"])
    fitted = np.random.default_rng(0).normal(100, 30, images.shape).astype("float32")
    keras.fit(fitted)
    ours.mean, ours.std = keras.mean, keras.std
    given_images = (images, extras) if extras else images
    keras_flow = keras.flow(given_images, **case["flow"])
    batches = 3 * len(keras_flow)
    expected = stream(keras_flow, batches)
    streams = []
    for workers in WORKERS:
        with ours.flow(given_images, workers=workers, **case["flow"]) as flow:
            assert len(flow) == len(keras_flow)
            streams.append(stream(flow, batches))
    assert_same_stream(streams[0], expected)
    for other in streams[1:]:
        assert_equal_streams(other, streams[0])
    np.testing.assert_array_equal(images, before, "the user's images stay as they are")


@pytest.mark.parametrize("channels_first", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@examples(15)
@given(seed=number_seeds, rescale=st.sampled_from([None, 1 / 255]), epsilon=st.sampled_from([1e-6, 0.1, 3.0]))
def test_whitened_streams_are_keras_s(
    channels_first: bool, dtype: str, seed: int, rescale: float | None, epsilon: float
) -> None:
    numbers = np.random.default_rng(seed)
    shape = (2, 3, 4) if channels_first else (3, 4, 2)
    images = (numbers.normal(size=(90, 24)) @ (numbers.normal(size=(24, 24)) + 4 * np.eye(24)) * 9 + 120).reshape(
        90, *shape
    )
    keras, ours = both(
        zca_whitening=True,
        featurewise_center=True,
        zca_epsilon=epsilon,
        rescale=rescale,
        rotation_range=30,
        width_shift_range=0.1,
        horizontal_flip=True,
        dtype=dtype,
        data_format="channels_first" if channels_first else "channels_last",
    )
    keras.fit(images)
    ours.fit(images)
    assert_alike(ours.zca_whitening_matrix, keras.zca_whitening_matrix)
    expected = stream(keras.flow(images[:30], batch_size=7, seed=seed), 10)
    for workers in (0, 2):
        with ours.flow(images[:30], batch_size=7, seed=seed, workers=workers) as flow:
            assert_same_stream(stream(flow, 10), expected)


@pytest.mark.parametrize("source", ["uint8", "int8", "uint16", "int32", "float16", "float32", "float64", ">u2", ">f4"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int32"])
def test_values_that_nothing_is_done_to_are_exactly_keras_s(source: str, dtype: str) -> None:
    images = pixels(3, (5, 6, 7, 3), "uint8").astype(source)
    if source == "int32":
        images = images * 1_000_003  # more digits than a float32 has
    if source == "float64":
        images = images / 3
    keras, ours = both(dtype=dtype, horizontal_flip=True)
    expected = stream(keras.flow(images, batch_size=2, seed=3), 6)
    with ours.flow(images, batch_size=2, seed=3, workers=1) as flow:
        assert_equal_streams(stream(flow, 6), expected)


@examples(40)
@given(
    number_seeds,
    st.sampled_from(["uint8", "int16", "int32", "uint16"]),
    st.sampled_from([0, 1, 3]),
    st.sampled_from(FILL_MODES),
)
def test_integer_streams_are_rounded_as_keras_rounds_them(seed: int, dtype: str, order: int, fill_mode: str) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (6, 9, 12, 3)).astype(dtype)
    if np.dtype(dtype).kind == "i":
        images -= 128
    keras, ours = both(
        dtype=dtype,
        interpolation_order=order,
        fill_mode=fill_mode,
        cval=7,
        rotation_range=40,
        zoom_range=0.3,
        shear_range=9,
    )
    expected = stream(keras.flow(images, batch_size=4, seed=seed), 6)
    with ours.flow(images, batch_size=4, seed=seed, workers=1) as flow:
        got = stream(flow, 6)
    ours_, keras_ = (np.concatenate(batches).astype(int) for batches in (got, expected))
    assert got[0].dtype == expected[0].dtype
    off = np.abs(ours_ - keras_)
    assert (off > 1).mean() <= FEW
    assert (off > 0).mean() <= 0.005, "float32 may round a half to the other side"


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("fill_mode", ["constant", "grid-constant"])
def test_an_image_s_own_mean_and_deviation_count_the_constant_outside(fill_mode: str, order: int) -> None:
    images = pixels(0, (12, 15, 15, 3), "uint8")
    keras, ours = both(
        samplewise_center=True,
        samplewise_std_normalization=True,
        rotation_range=40,
        width_shift_range=0.3,
        brightness_range=(0.5, 1.5),
        fill_mode=fill_mode,
        cval=100,
        interpolation_order=order,
    )
    expected = stream(keras.flow(images, batch_size=5, seed=0), 9)
    with ours.flow(images, batch_size=5, seed=0, workers=2) as flow:
        assert_same_stream(stream(flow, 9), expected)


def test_a_seed_counts_up_by_batches_as_in_keras() -> None:
    """With one batch an epoch, seed 5's second epoch is seed 6's first."""
    images = pixels(0, (6, 5, 5, 1), "uint8")
    generator = ImageDataGenerator(rotation_range=90, semantics="keras")
    with generator.flow(images, seed=5, workers=1) as five, generator.flow(images, seed=6, workers=1) as six:
        assert_equal_streams(stream(five, 3)[1:], stream(six, 2))


def test_a_seed_near_the_end_of_numpys_range_lasts_as_long_as_with_keras() -> None:
    """Batches that nobody has asked for may not fail on behalf of those that somebody has."""
    images = pixels(0, (6, 5, 5, 1), "uint8")
    keras, ours = both(rotation_range=90)
    expected = stream(keras.flow(images, seed=2**32 - 4), 4)
    with ours.flow(images, seed=2**32 - 4, workers=1) as flow:
        assert_same_stream(stream(flow, 4), expected)


def test_brightness_of_float64_images_goes_through_float32_as_in_keras() -> None:
    """A spline leaves 78.99999999999999 where 79 was, which Keras rounds to 79 before it cuts fractions off."""
    images = pixels(0, (4, 15, 22, 3), "uint8")
    keras, ours = both(
        width_shift_range=[3], interpolation_order=3, brightness_range=(1, 1), dtype="float64", fill_mode="mirror"
    )
    expected = stream(keras.flow(images, seed=0), 2)
    with ours.flow(images, seed=0, workers=0) as flow:
        assert_same_stream(stream(flow, 2), expected)


def test_brightness_without_pillow_s_channels_is_refused_before_anything_is_made() -> None:
    generator = ImageDataGenerator(brightness_range=(0.5, 1.5), semantics="keras")
    flow = generator.flow(np.zeros((4, 5, 5, 2), "uint8"), workers=1)
    with flow, pytest.raises(ValueError, match=r"Pillow, which knows images of 1, 3 or 4 channels\. Received: 2"):
        next(flow)


# --- flow_from_directory --------------------------------------------------------------------------------------------


@examples(70)
@given(
    data=st.data(),
    settings=settings_of_keras(),
    class_mode=st.sampled_from(["categorical", "binary", "sparse", "input", None]),
    color_mode=st.sampled_from(["rgb", "rgb", "grayscale", "rgba"]),
    target_size=st.sampled_from([(16, 16), (24, 17), (9, 30), (30, 61), (70, 20)]),
    interpolation=st.sampled_from(["nearest", "nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]),
    keep_aspect_ratio=st.booleans(),
    channels_first=st.sampled_from([False, False, True]),
)
def test_flow_from_directory_streams_what_keras_streams_at_any_number_of_workers(
    folders: dict[str, Path], data: st.DataObject, settings: dict[str, Any], class_mode: str | None, color_mode: str,
    target_size: tuple[int, int], interpolation: str, keep_aspect_ratio: bool, channels_first: bool,
) -> None:  # fmt: skip
    if channels_first:
        settings["brightness_range"] = None
        settings["data_format"] = "channels_first"
    options: dict[str, Any] = {
        "target_size": target_size,
        "color_mode": color_mode,
        "class_mode": class_mode,
        "batch_size": data.draw(st.integers(1, 17)),
        "shuffle": data.draw(st.booleans()),
        "seed": data.draw(number_seeds),
        "interpolation": interpolation,
        "keep_aspect_ratio": keep_aspect_ratio,
        "classes": data.draw(st.sampled_from([None, ["b", "a"], ["a"]])),
    }
    directory = folders["two"]
    if options["classes"] is None and class_mode != "binary" and data.draw(st.booleans()):
        directory = folders["three"]
    if data.draw(st.booleans()):
        settings["validation_split"] = 0.4
        options["subset"] = data.draw(st.sampled_from(["training", "validation"]))
    keras, ours = both(**settings)
    channels = {"grayscale": 1, "rgb": 3, "rgba": 4}[color_mode]
    shape = (channels, *target_size) if channels_first else (*target_size, channels)
    keras.fit(np.random.default_rng(0).normal(100, 30, (3, *shape)).astype("float32"))
    ours.mean, ours.std = keras.mean, keras.std
    keras_flow = keras.flow_from_directory(str(directory), **options)
    batches = 2 * len(keras_flow)
    expected = stream(keras_flow, batches)
    streams = []
    for workers in WORKERS:
        with ours.flow_from_directory(str(directory), workers=workers, **options) as flow:
            assert flow.filenames == keras_flow.filenames
            assert flow.class_indices == keras_flow.class_indices
            assert flow.classes.tolist() == keras_flow.classes.tolist()
            assert flow.image_shape == keras_flow.image_shape
            streams.append(stream(flow, batches))
    assert_same_stream(streams[0], expected, images=2 if class_mode == "input" else 1)
    for other in streams[1:]:
        assert_equal_streams(other, streams[0])


@pytest.mark.parametrize(
    "options", [{}, {"interpolation_order": 3, "brightness_range": (0.5, 1.5)}], ids=["", "bright"]
)
@pytest.mark.parametrize("dtype", ["uint8", "int32", "float64"])
def test_files_are_computed_as_float32_whatever_dtype_they_end_in(
    folders: dict[str, Path], dtype: str, options: dict[str, Any]
) -> None:
    """A spline over an opaque alpha channel gives 255.00000000000003 in float64, which brightness would stretch."""
    keras, ours = both(rotation_range=20, fill_mode="mirror", dtype=dtype, **options)
    arguments = {"target_size": (24, 31), "batch_size": 4, "seed": 1, "color_mode": "rgba"}
    expected = stream(keras.flow_from_directory(str(folders["two"]), **arguments), 6)
    with ours.flow_from_directory(folders["two"], workers=2, **arguments) as flow:
        got = stream(flow, 6)
    assert_same_stream(got, expected)


@examples(40)
@given(
    data=st.data(),
    settings=settings_of_keras(brightness=False),
    color_mode=st.sampled_from(["rgb", "grayscale", "grayscale", "rgba"]),
    target_size=st.sampled_from([(23, 31), (16, 12), (40, 41)]),
    interpolation=st.sampled_from(["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]),
    keep_aspect_ratio=st.booleans(),
)
def test_files_of_every_format_and_depth_are_streamed_as_keras_streams_them(
    formats: Path, data: st.DataObject, settings: dict[str, Any], color_mode: str, target_size: tuple[int, int],
    interpolation: str, keep_aspect_ratio: bool,
) -> None:  # fmt: skip
    options = {
        "target_size": target_size,
        "color_mode": color_mode,
        "batch_size": data.draw(st.integers(1, 31)),
        "seed": data.draw(number_seeds),
        "interpolation": interpolation,
        "keep_aspect_ratio": keep_aspect_ratio,
    }
    keras, ours = both(**settings)
    channels = {"grayscale": 1, "rgb": 3, "rgba": 4}[color_mode]
    keras.fit(np.random.default_rng(0).normal(100, 30, (3, *target_size, channels)).astype("float32"))
    ours.mean, ours.std = keras.mean, keras.std
    keras_flow = keras.flow_from_directory(str(formats), **options)
    expected = stream(keras_flow, len(keras_flow) + 2)
    for workers in (0, 2):
        with ours.flow_from_directory(formats, workers=workers, **options) as flow:
            got = stream(flow, len(keras_flow) + 2)
        assert_same_stream(got, expected)
        for (images, _), (keras_images, _) in zip(got, expected, strict=True):
            for one, other in zip(images, keras_images, strict=True):  # by itself: 16 bits would hide what 8 are
                assert_alike(one, other, few=0.02)


# --- fit ------------------------------------------------------------------------------------------------------------


@examples(30)
@given(
    number_seeds,
    st.sampled_from(["uint8", "float32", "float64"]),
    st.sampled_from([None, 1 / 255]),
    st.sampled_from([(False, 1), (True, 1), (True, 2)]),
    st.booleans(),
    st.sampled_from([None, "float64"]),
)
def test_fit_learns_what_keras_learns(
    seed: int, source: str, rescale: float | None, augment: tuple[bool, int], channels_first: bool, dtype: Any
) -> None:
    """From augmented images, too: with the same seed both see the same ones."""
    images = pixels(seed, (9, 3, 10, 14) if channels_first else (9, 10, 14, 3), source)
    before = images.copy()
    keras, ours = both(
        featurewise_center=True,
        featurewise_std_normalization=True,
        rescale=rescale,
        rotation_range=30,
        width_shift_range=0.2,
        zoom_range=0.2,
        channel_shift_range=20,
        vertical_flip=True,
        fill_mode="constant",
        dtype=dtype,
        data_format="channels_first" if channels_first else "channels_last",
    )
    with quiet():
        keras.fit(images, augment=augment[0], rounds=augment[1], seed=seed)
    ours.fit(images, augment=augment[0], rounds=augment[1], seed=seed)
    for name in ("mean", "std"):
        one, other = getattr(ours, name), getattr(keras, name)
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=2e-4)
    np.testing.assert_array_equal(images, before)


# --- one image at a time --------------------------------------------------------------------------------------------


@examples(100)
@given(settings_of_keras(), number_seeds, st.sampled_from([(9, 14, 3), (14, 9, 1), (12, 12, 4)]))
def test_random_transforms_are_keras_s_with_the_same_global_seed(
    settings: dict[str, Any], seed: int, shape: tuple[int, int, int]
) -> None:
    keras, ours = both(**settings)
    image = pixels(seed, shape, "uint8").astype("float32")
    before = image.copy()
    with quiet():
        np.random.seed(seed)
        drawn = [keras.get_random_transform(shape) for _ in range(2)]
        expected = [keras.random_transform(image) for _ in range(8)]
        seeded = keras.random_transform(image, seed=seed), keras.get_random_transform(shape, seed)
    np.random.seed(seed)
    assert [ours.get_random_transform(shape) for _ in range(2)] == drawn
    got = [ours.random_transform(image) for _ in range(8)]
    assert_alike(np.stack(got), np.stack(expected), span=255, few=FEW)
    assert {one.dtype for one in got} == {np.dtype(np.float32)}
    assert_alike(ours.random_transform(image, seed=seed), seeded[0], span=255, few=0.02)
    assert ours.get_random_transform(shape, seed) == seeded[1]
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
@examples(40)
@given(
    parameters=geometries(),
    colours=st.sampled_from([{}, {"brightness": 1.3}, {"channel_shift_intensity": -20.5, "brightness": None}]),
    some=st.sets(
        st.sampled_from(["theta", "tx", "ty", "shear", "zx", "zy", "flip_horizontal", "flip_vertical"]), min_size=1
    ),
    fill_mode=st.sampled_from(FILL_MODES),
    order=st.sampled_from([0, 1, 3]),
    seed=number_seeds,
)
def test_apply_transform_takes_keras_s_dictionary(
    dtype: str, parameters: Any, colours: Any, some: Any, fill_mode: str, order: int, seed: int
) -> None:
    """Any of the keys may be missing; integer images stay integer as long as only pixels move."""
    image = np.minimum(pixels(seed, (15, 22, 3), "uint8"), 250).astype(dtype)  # see `settings_of_keras`
    if dtype == "int16":
        image -= 100
    chosen = {name: value for name, value in parameters.items() if name in some} | colours
    # Whole steps put the edge of a constant exactly on pixels, where the last bit decides.
    if fill_mode in ("constant", "wrap") or order == 0:
        chosen = {name: value + 0.01234 if name in ("tx", "ty", "theta") else value for name, value in chosen.items()}
    keras, ours = both(fill_mode=fill_mode, interpolation_order=order, cval=9)
    with quiet():
        expected = keras.apply_transform(image, chosen)
    got = ours.apply_transform(image, chosen)
    assert_alike(got, expected, span=255 if dtype[0] == "f" else 1100, few=FEW)
    if not colours:
        assert got.dtype == expected.dtype == dtype


def test_nothing_to_do_returns_the_image_itself() -> None:
    image = pixels(0, (5, 6, 3), "uint8")
    keras, ours = both()
    for nothing in ({}, {"theta": 0, "zx": 1, "brightness": None, "flip_vertical": False}):
        assert keras.apply_transform(image, nothing) is image
        assert ours.apply_transform(image, nothing) is image


@examples(60)
@given(
    settings_of_keras(),
    number_seeds,
    st.sampled_from(["float32", "float64"]),
    st.sampled_from([(7, 8, 3), (2, 7, 8, 3)]),
)
def test_standardize_works_in_place_where_keras_does(
    settings: dict[str, Any], seed: int, dtype: str, shape: tuple[int, ...]
) -> None:
    keras, ours = both(**settings)
    keras.fit(pixels(0, (6, 7, 8, 3), "float32"))
    ours.mean, ours.std = keras.mean, keras.std
    image = pixels(seed, shape, dtype)
    theirs, mine = image.copy(), image.copy()
    expected, got = keras.standardize(theirs), ours.standardize(mine)
    assert_alike(got, expected)
    assert got.dtype == expected.dtype
    assert (got is mine) is (expected is theirs)
    assert_alike(mine, theirs)


# --- the other semantics --------------------------------------------------------------------------------------------


@examples(60)
@given(
    geometries(),
    st.sampled_from([{}, {"channel_shift_intensity": 12.5}]),
    st.sampled_from(FILL_MODES),
    st.sampled_from([0, 1, 3]),
    st.sampled_from([(16, 16, 3), (1, 1, 3), (7, 7, 1)]),
)
def test_on_square_images_the_same_parameters_give_the_same_image_in_both_semantics(
    parameters: dict[str, Any], colours: dict[str, Any], fill_mode: str, order: int, shape: tuple[int, int, int]
) -> None:
    image = pixels(5, shape, "uint8")
    options = {"fill_mode": fill_mode, "interpolation_order": order, "cval": 3}
    corrected, keras = (
        ImageDataGenerator(**options, semantics=semantics).apply_transform(image, parameters | colours)
        for semantics in ("corrected", "keras")
    )
    np.testing.assert_array_equal(corrected, keras)
    assert ImageDataGenerator().semantics == "corrected"


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("name", "axis"), [("width_shift_range", 1), ("height_shift_range", 0)])
@pytest.mark.parametrize(("height", "width"), [(20, 50), (50, 20)])
def test_corrected_shift_ranges_move_along_the_axis_that_they_name(
    height: int, width: int, name: str, axis: int, data_format: str
) -> None:
    """By a share of that side; Keras moves along the other one, by a share of the wrong side."""
    image = pixels(1, (height, width, 3), "uint8") // 2 + 1
    stored = np.moveaxis(image, 2, 0) if data_format == "channels_first" else image
    options = {name: [0.2], "fill_mode": "constant", "data_format": data_format}
    steps: dict[str, set[int]] = {}
    for semantics in ("corrected", "keras"):
        with ImageDataGenerator(**options, semantics=semantics).flow(stored[None], seed=4, workers=0) as flow:
            batches = [next(flow)[0] for _ in range(12)]
        along = axis if semantics == "corrected" else 1 - axis
        found = set()
        for batch in batches:
            moved = np.moveaxis(batch, 0, 2) if data_format == "channels_first" else batch
            for step in range(-15, 16):
                expected = np.zeros_like(moved)
                here, there = (
                    slice(max(0, -step), None if step <= 0 else -step),
                    slice(max(0, step), None if step >= 0 else step),
                )
                places = [slice(None)] * 2
                places[along] = here
                sources = [slice(None)] * 2
                sources[along] = there
                expected[tuple(places)] = image[tuple(sources)]
                if np.array_equal(moved, expected):
                    found.add(step)
        steps[semantics] = found
    distance = (height, width)[axis] // 5
    assert steps == {"corrected": {-distance, distance}, "keras": {-distance, distance}}


def test_corrected_half_turns_of_non_square_images_keep_all_pixels_and_keras_s_4_of_45() -> None:
    image = np.arange(1, 46, dtype="uint8").reshape(5, 9, 1)
    corrected = ImageDataGenerator().apply_transform(image, {"theta": 180})
    np.testing.assert_array_equal(corrected, image[::-1, ::-1])
    keras, ours = both(fill_mode="constant")
    with quiet():
        expected = keras.apply_transform(image, {"theta": 180})
    got = ours.apply_transform(image, {"theta": 180})
    assert np.count_nonzero(expected) == np.count_nonzero(got) == 4
    np.testing.assert_array_equal(got, expected)
