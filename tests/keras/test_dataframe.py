"""`flow_from_dataframe`: the rows, labels and batches that Keras makes of a dataframe."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, strategies as st
from keras.src.legacy.preprocessing.image import DataFrameIterator as KerasIterator
from PIL import Image

from parity import assert_equal_streams, assert_same_stream, both, settings_of_keras, stream
from penstock import DataFrameIterator, ImageDataGenerator, ImageError
from strategies import examples, pixels

number_seeds = st.integers(0, 2**31)
GIVEN_CLASSES = [None, None, ["cat", "dog"], ("owl", "cat", "owl"), ["dog", "nobody"], ["cat"]]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve small files, two of them in a sub-folder, one that is no image."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "sub").mkdir()
    for k, name in enumerate(NAMES):
        Image.fromarray(pixels(k, (14 + k, 20 - k, 3), "uint8")).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    return folder


NAMES = [f"{k}.png" for k in range(6)] + ["sub/6.bmp", "sub/7.PNG", "8.ppm", "9.tif", "10.png", "11.png"]


def table(folder: Path, seed: int, *, broken: bool = False, absolute: bool = False) -> pd.DataFrame:
    """Rows in disorder, under an index of their own."""
    numbers = np.random.default_rng(seed)
    names = [*NAMES, "missing.png", "notes.txt"] if broken else NAMES
    names = [names[k] for k in numbers.permutation(len(names))]
    count = len(names)
    kinds = ["cat", "dog", "owl"]
    several: list[Any] = [
        [kinds[j] for j in numbers.choice(3, numbers.integers(0, 4), replace=False)] for _ in range(count)
    ]
    several[0], several[1] = "dog", ("owl", "cat")
    frame = pd.DataFrame(
        {
            "filename": [str(folder / name) if absolute else name for name in names],
            "class": numbers.choice(kinds, count),
            "two": numbers.choice(["yes", "no"], count),
            "several": several,
            "age": numbers.uniform(0, 90, count),
            "rank": numbers.integers(0, 9, count),
            "small": numbers.integers(0, 9, count).astype("uint8"),
            "flag": numbers.random(count) < 0.5,
            "box": [row.tolist() for row in numbers.uniform(0, 1, (count, 4))],
            "weight": numbers.uniform(0, 2, count).astype("float32"),
        },
        index=numbers.permutation(count) + 100,
    )
    frame.loc[frame.index[:2], "two"] = ["yes", "no"]
    frame.loc[frame.index[:3], "class"] = kinds
    return frame


MODES: list[tuple[str | None, Any]] = [
    ("categorical", "class"),
    ("categorical", "several"),
    ("sparse", "class"),
    ("binary", "two"),
    ("raw", "age"),
    ("raw", "rank"),
    ("raw", "box"),
    ("raw", ["age", "rank"]),
    ("raw", ["rank", "small"]),
    ("raw", ["rank", "flag"]),
    ("raw", ["age", "class"]),
    ("multi_output", ["age", "box", "class"]),
    ("multi_output", ["rank"]),
    ("input", "class"),
    (None, "class"),
]


@examples(120)
@given(
    data=st.data(),
    settings=settings_of_keras(),
    mode=st.sampled_from(MODES),
    seed=number_seeds,
    broken=st.booleans(),
    absolute=st.booleans(),
    weighted=st.booleans(),
)
@pytest.mark.filterwarnings("ignore:Found 2 invalid image filename", "ignore:`classes` will be ignored")
def test_streams_are_keras_s_at_any_number_of_workers(
    photos: Path, data: st.DataObject, settings: dict[str, Any], mode: tuple[str | None, Any], seed: int,
    broken: bool, absolute: bool, weighted: bool,
) -> None:  # fmt: skip
    class_mode, y_col = mode
    frame = table(photos, seed, broken=broken, absolute=absolute)
    before = frame.copy()
    classes = None if class_mode == "binary" else data.draw(st.sampled_from(GIVEN_CLASSES))
    options: dict[str, Any] = {
        "directory": None if absolute else str(photos),
        "y_col": y_col,
        "class_mode": class_mode,
        "classes": classes,
        "weight_col": "weight" if weighted else None,
        "target_size": data.draw(st.sampled_from([(16, 16), (9, 20)])),
        "color_mode": data.draw(st.sampled_from(["rgb", "rgb", "grayscale", "rgba"])),
        "batch_size": data.draw(st.integers(1, 15)),
        "shuffle": data.draw(st.booleans()),
        "seed": seed,
        "interpolation": data.draw(st.sampled_from(["nearest", "bilinear"])),
    }
    if data.draw(st.booleans()):
        settings["validation_split"] = 0.4
        options["subset"] = data.draw(st.sampled_from(["training", "validation"]))
    keras, ours = both(**settings)
    channels = {"grayscale": 1, "rgb": 3, "rgba": 4}[options["color_mode"]]
    keras.fit(np.random.default_rng(0).normal(100, 30, (3, *options["target_size"], channels)).astype("float32"))
    ours.mean, ours.std = keras.mean, keras.std
    keras_flow = keras.flow_from_dataframe(frame, **options)
    with ours.flow_from_dataframe(frame, workers=0, **options) as flow:
        assert_same_attributes(flow, keras_flow)
        if keras_flow.n == 0:
            return
        batches = 2 * len(keras_flow)
        expected = stream(keras_flow, batches)
        got = stream(flow, batches)
    assert_same_stream(got, expected, images=2 if class_mode == "input" else 1)
    with ours.flow_from_dataframe(frame, workers=2, **options) as flow:
        assert_equal_streams(stream(flow, batches), got)
    pd.testing.assert_frame_equal(frame, before)


def assert_same_attributes(ours: Any, keras: Any) -> None:
    for name in ("n", "samples", "filenames", "filepaths", "image_shape", "split", "subset", "class_mode", "directory"):
        assert getattr(ours, name) == getattr(keras, name), name
    for name in ("class_indices", "classes"):
        assert hasattr(ours, name) == hasattr(keras, name), name
        assert getattr(ours, name, None) == getattr(keras, name, None), name
    if hasattr(keras, "class_indices"):
        assert list(ours.class_indices) == list(keras.class_indices)
    if ours.class_mode in ("raw", "multi_output"):
        np.testing.assert_equal(ours.labels, keras.labels)
    np.testing.assert_array_equal(ours.sample_weight, keras.sample_weight)
    assert len(ours) == len(keras)


def test_images_may_keep_their_proportions(photos: Path) -> None:
    """Keras swallows the keyword here, and only its iterator knows it."""
    frame = table(photos, 1)
    keras, ours = both()
    options = {"target_size": (9, 20), "seed": 1, "class_mode": None}
    iterator = KerasIterator(frame, str(photos), keras, keep_aspect_ratio=True, **options)
    with ours.flow_from_dataframe(frame, photos, keep_aspect_ratio=True, **options) as flow:
        assert_same_stream(stream(flow, 2), stream(iterator, 2))


def test_an_iterator_without_a_generator_loads_images_as_they_are(photos: Path) -> None:
    frame = table(photos, 2)
    with DataFrameIterator(frame, str(photos), shuffle=False, target_size=(14, 20)) as flow:
        assert_same_stream([next(flow)], [next(KerasIterator(frame, str(photos), shuffle=False, target_size=(14, 20)))])


@pytest.mark.parametrize(
    "convert",
    [pl.from_pandas, lambda frame: pl.from_pandas(frame).lazy(), pa.Table.from_pandas],
    ids=["polars", "polars lazy", "pyarrow"],
)
@pytest.mark.parametrize(
    ("class_mode", "y_col"),
    [("categorical", "class"), ("categorical", "lists"), ("binary", "two"), ("raw", ["age", "rank"]), ("raw", "age")],
)
def test_any_dataframe_gives_what_pandas_gives(photos: Path, convert: Any, class_mode: str, y_col: Any) -> None:
    frame = table(photos, 3).drop(columns="several")
    frame["lists"] = [["cat"] if k % 2 else ["cat", "dog"] for k in range(len(frame))]
    streams = []
    for dataframe in (frame, convert(frame)):
        generator = ImageDataGenerator(rotation_range=30)
        options = {"y_col": y_col, "class_mode": class_mode, "weight_col": "weight", "seed": 1, "batch_size": 5}
        with generator.flow_from_dataframe(dataframe, str(photos), **options) as flow:
            streams.append(stream(flow, 6))
    assert_equal_streams(*streams)


def test_columns_may_be_named_by_an_index_or_an_array(photos: Path) -> None:
    frame = table(photos, 4)
    for y_col in (frame.columns[4:6], np.array(["age", "rank"])):
        with ImageDataGenerator().flow_from_dataframe(frame, photos, y_col=y_col, class_mode="raw") as flow:
            np.testing.assert_array_equal(flow.labels, frame[["age", "rank"]].values)


def test_columns_may_have_numbers_for_names(photos: Path) -> None:
    """As `read_csv(header=None)` gives them."""
    frame = table(photos, 4)[["filename", "class"]].set_axis([0, 1], axis=1)
    with ImageDataGenerator().flow_from_dataframe(frame, photos, x_col=0, y_col=1) as flow:
        assert flow.n == 12


def test_regression_trains(photos: Path) -> None:
    import keras

    model = keras.Sequential([keras.layers.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    options = {"y_col": ["age", "rank"], "class_mode": "raw", "target_size": (8, 8), "batch_size": 4}
    with ImageDataGenerator(rescale=1e-4).flow_from_dataframe(
        table(photos, 5), photos, weight_col="weight", **options
    ) as flow:
        history = model.fit(flow, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.backends
def test_several_outputs_train(photos: Path) -> None:
    import keras

    entrance = keras.layers.Input((8, 8, 3))
    flat = keras.layers.Flatten()(entrance)
    model = keras.Model(entrance, [keras.layers.Dense(1)(flat), keras.layers.Dense(4)(flat)])
    model.compile("sgd", ["mse", "mse"])
    with ImageDataGenerator(rescale=1e-4).flow_from_dataframe(
        table(photos, 6), photos, y_col=["age", "box"], class_mode="multi_output", target_size=(8, 8), batch_size=4
    ) as flow:
        assert np.isfinite(model.fit(flow, verbose=0).history["loss"]).all()
        assert [part.shape for part in model.predict(flow, verbose=0)] == [(12, 1), (12, 4)]


# --- what does not fit ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"class_mode": "binary"}, ValueError, 'If class_mode="binary" there must be 2 classes. Found 3 classes.'),
        ({"class_mode": "binary", "classes": ["cat"]}, ValueError, "there must be 2 classes. 1 class/es were given"),
        ({"class_mode": "sparse", "y_col": "rank"}, TypeError, 'y_col="rank" column values must be strings'),
        ({"class_mode": "sparse", "y_col": "several"}, TypeError, 'y_col="several" column values must be strings'),
        ({"y_col": "rank"}, TypeError, 'y_col="rank" column values must be type string, list or tuple'),
        ({"class_mode": "multi_output", "y_col": "age"}, TypeError, "y_col must be a list. Received str"),
        ({"weight_col": "class"}, TypeError, "Column weight_col=class must be numeric."),
        ({"weight_col": "flag"}, TypeError, "Column weight_col=flag must be numeric."),
        ({"x_col": "rank"}, TypeError, "All values in column x_col=rank must be strings."),
        ({"class_mode": "one-hot"}, ValueError, "Invalid class_mode: one-hot; expected one of: "),
        ({"subset": "test"}, ValueError, "Invalid subset name: test"),
        ({"color_mode": "cmyk"}, ValueError, "Invalid color mode: cmyk"),
    ],
)
def test_what_keras_refuses_is_refused_in_its_words(
    photos: Path, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    frame = table(photos, 0)
    keras, ours = both()
    for generator in (keras, ours):
        with pytest.raises(error) as raised:
            generator.flow_from_dataframe(frame, str(photos), **options)
        assert words in str(raised.value)


def test_a_column_that_is_not_there_is_named_with_those_that_are(photos: Path) -> None:
    with pytest.raises(ValueError, match=r"`y_col` should be one of the columns \['filename', .*Received: 'label'"):
        ImageDataGenerator().flow_from_dataframe(table(photos, 0), photos, y_col="label")


def test_what_is_no_dataframe_is_refused() -> None:
    with pytest.raises(TypeError, match=r"should be a dataframe of pandas, Polars, .*Received: dict"):
        ImageDataGenerator().flow_from_dataframe({"filename": ["a.png"], "class": ["a"]})


def test_an_unknown_keyword_names_the_nearest_one(photos: Path) -> None:
    """Keras takes any, and does nothing."""
    generator = ImageDataGenerator()
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'batchsize'. Did you mean 'batch_size'\?"):
        generator.flow_from_dataframe(table(photos, 0), photos, batchsize=8)
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'zzz'\.$"):
        generator.flow_from_dataframe(table(photos, 0), photos, zzz=8)


@pytest.mark.parametrize("keyword", [{"has_ext": True}, {"sort": False}, {"drop_duplicates": True}])
def test_keywords_of_old_scripts_are_taken_with_a_warning(photos: Path, keyword: dict[str, bool]) -> None:
    with pytest.warns(DeprecationWarning, match=f"`{next(iter(keyword))}` is deprecated"):
        ImageDataGenerator().flow_from_dataframe(table(photos, 0), photos, **keyword).close()


def test_the_class_mode_of_old_scripts_is_raw(photos: Path) -> None:
    with pytest.warns(DeprecationWarning, match='please use `class_mode="raw"`'):
        flow = ImageDataGenerator().flow_from_dataframe(table(photos, 0), photos, y_col="age", class_mode="other")
    with flow:
        assert flow.class_mode == "raw"


def test_names_that_are_no_images_are_left_out_with_one_warning(photos: Path) -> None:
    frame = table(photos, 0, broken=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        flow = ImageDataGenerator().flow_from_dataframe(frame, photos)
    flow.close()
    assert [str(warning.message) for warning in caught] == [
        'Found 2 invalid image filename(s) in x_col="filename". These filename(s) will be ignored.'
    ]
    assert caught[0].filename == __file__


def test_names_that_were_not_looked_at_fail_by_name_when_they_are_read(photos: Path) -> None:
    frame = table(photos, 0, broken=True).query("filename == 'missing.png'")
    flow = ImageDataGenerator().flow_from_dataframe(frame, photos, validate_filenames=False)
    with flow, pytest.raises(ImageError, match=r"missing\.png"):
        next(flow)


def test_a_dataframe_of_nothing_but_missing_files_has_classes_but_no_batches(capsys: pytest.CaptureFixture) -> None:
    """Old scripts look at `class_indices` of such a flow."""
    frame = pd.DataFrame({"filename": ["data/A.jpg", "data/B.jpg"], "class": ["A", "B"]})
    with pytest.warns(UserWarning, match="Found 2 invalid"):
        flow = ImageDataGenerator().flow_from_dataframe(frame, classes=["B", "A"])
    assert "Found 0 validated image filenames belonging to 2 classes." in capsys.readouterr().out
    with flow:
        assert flow.class_indices == {"B": 0, "A": 1}
        assert len(flow) == flow.batch_index == 0
        flow.reset()
        flow.on_epoch_end()
        with pytest.raises(ValueError, match="This flow has no samples"):
            next(flow)
        with pytest.raises(ValueError, match="length 0"):
            flow[0]
        with pytest.raises(ValueError, match="This flow has no samples"):
            flow.state_dict()


def test_without_narwhals_the_error_names_the_extra(photos: Path) -> None:
    code = (
        "import sys; sys.modules['narwhals.stable.v2'] = None\n"
        "from penstock import ImageDataGenerator\n"
        "ImageDataGenerator().flow_from_dataframe(None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ImportError: Dataframes are read by narwhals" in done.stderr
    assert 'pip install "penstock[dataframe]"' in done.stderr
