"""`flow_from_dataset`: a `Dataset` of Hugging Face's, fed as files are."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from datasets import (
    ClassLabel,
    Dataset,
    DatasetDict,
    Features,
    Image,
    IterableDataset,
    List,
    Value,
    concatenate_datasets,
    disable_progress_bars,
    load_from_disk,
)
from PIL import Image as Pillow

from penstock import DatasetIterator, ImageDataGenerator, ImageError
from penstock.feeding.executors._travel import pack
from penstock.sources._arrow import MappedColumn, PackedColumn
from strategies import pixels

GENERATOR = ImageDataGenerator(rotation_range=30, horizontal_flip=True, rescale=1 / 255, validation_split=0.25)
SMALL: dict[str, Any] = {"target_size": (20, 24), "batch_size": 4, "seed": 3}
COUNT = 14
FEATURES = Features(
    {
        "image": Image(),
        "path": Value("string"),
        "label": ClassLabel(names=["owl", "cat", "dog", "nobody"]),
        "several": List(ClassLabel(names=["b", "a"])),
        "text": Value("string"),
        "age": Value("float32"),
        "box": List(Value("float64"), 2),
        "weight": Value("float64"),
    }
)


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> None:
    disable_progress_bars()


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("files")
    rows = []
    for k in range(COUNT):
        path = folder / f"{k}.{'jpg' if k % 2 else 'png'}"
        Pillow.fromarray(pixels(k, (24 + k, 31 - k, 3), "uint8")).save(path)
        rows.append(
            {
                "path": str(path),
                "label": ["owl", "cat", "dog"][k % 3],
                "several": [["a"], ["b", "a"], ["b"]][k % 3],
                "text": ["x", "y"][k % 2],
                "age": np.float32(1.5 * k),
                "box": [k / 2, 3.0],
                "weight": 1.0 + k,
            }
        )
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def in_memory(frame: pd.DataFrame) -> Dataset:
    """Every third image is in a file beside it."""
    rows = frame.to_dict("list")
    blobs = [Path(path).read_bytes() for path in rows["path"]]
    rows["image"] = [
        {"bytes": None if k % 3 == 2 else blob, "path": rows["path"][k] if k % 3 == 2 else None}
        for k, blob in enumerate(blobs)
    ]
    rows["label"] = [FEATURES["label"].str2int(name) for name in rows["label"]]
    rows["several"] = [[FEATURES["several"].feature.str2int(name) for name in names] for names in rows["several"]]
    return Dataset.from_dict(rows, FEATURES)


@pytest.fixture(scope="module")
def on_disk(in_memory: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("arrow")
    in_memory.save_to_disk(folder, num_shards=3)
    return load_from_disk(folder)


@pytest.fixture(params=["in_memory", "on_disk"])
def dataset(request: pytest.FixtureRequest) -> Dataset:
    return request.getfixturevalue(request.param)


def from_dataset(dataset: Any, **options: Any) -> DatasetIterator:
    return GENERATOR.flow_from_dataset(dataset, **{**SMALL, **options})


def from_files(frame: pd.DataFrame, label: Any = "label", **options: Any) -> Any:
    return GENERATOR.flow_from_dataframe(frame, None, "path", label, **{**SMALL, "workers": 0, **options})


@pytest.mark.parametrize("workers", [0, 3])
def test_rows_are_fed_as_the_same_images_in_files(dataset: Dataset, frame: pd.DataFrame, workers: int) -> None:
    names = ["owl", "cat", "dog", "nobody"]
    with from_dataset(dataset, workers=workers) as flow, from_files(frame, classes=names) as other:
        assert flow.class_indices == other.class_indices == {"owl": 0, "cat": 1, "dog": 2, "nobody": 3}
        assert flow.digest() == other.digest()


def test_processes_map_the_files(on_disk: Dataset, frame: pd.DataFrame) -> None:
    kind = {"workers": 1, "use_multiprocessing": True}
    with from_dataset(on_disk, class_mode=None, **kind) as flow, from_files(frame, class_mode=None) as other:
        for _ in range(len(flow)):
            np.testing.assert_array_equal(next(flow), next(other))


def test_rows_that_are_chosen_and_shuffled_come_in_their_order(dataset: Dataset, frame: pd.DataFrame) -> None:
    rows = np.random.default_rng(2).permutation(COUNT)[:9].tolist()
    chosen = dataset.select(rows).with_format("numpy")
    chosen = concatenate_datasets([chosen.select([0, 1, 2]), chosen.select([3, 4, 5, 6, 7, 8])])
    with from_dataset(chosen, class_mode="raw", label_column="age") as flow:
        with from_files(frame.iloc[rows], "age", class_mode="raw") as other:
            assert flow.digest() == other.digest()
        state = flow.state_dict()
    other_order = chosen.select(range(8, -1, -1))
    with from_dataset(chosen) as one, from_dataset(other_order) as two, pytest.raises(ValueError, match="other data"):
        two.load_state_dict(one.state_dict() | {"seed": state["seed"]})


@pytest.mark.parametrize("subset", ["training", "validation"])
def test_a_split_is_that_of_a_dataframe(dataset: Dataset, frame: pd.DataFrame, subset: str) -> None:
    options = {"subset": subset, "classes": ["dog", "owl"]}
    with from_dataset(dataset, **options) as flow, from_files(frame, **options) as other:
        assert flow.class_indices == {"dog": 0, "owl": 1}
        assert flow.digest() == other.digest()


@pytest.mark.parametrize(
    ("mode", "label", "classes"),
    [
        ("sparse", "text", None), ("binary", "text", None), ("categorical", "several", ["b", "a"]),
        ("raw", "age", None), ("raw", "box", None), ("raw", ["age", "weight"], None),
        ("multi_output", ["box", "age"], None), ("input", "label", None), (None, "label", None),
    ],
)  # fmt: skip
def test_class_modes_are_those_of_dataframes(
    in_memory: Dataset, frame: pd.DataFrame, mode: Any, label: Any, classes: Any
) -> None:
    options = {"class_mode": mode, "workers": 0}
    ours = from_dataset(in_memory, label_column=label, weight_column="weight", **options)
    with ours as flow, from_files(frame, label, weight_col="weight", classes=classes, **options) as other:
        for one, two in zip(next(flow), next(other), strict=True):
            for part, twin in zip(*((x if isinstance(x, list) else [x]) for x in (one, two)), strict=True):
                np.testing.assert_array_equal(part, np.array(twin.tolist()))  # dataframes keep lists as objects


def test_a_column_may_hold_bytes_or_file_names(on_disk: Dataset, frame: pd.DataFrame) -> None:
    blobs = Dataset.from_dict({"picture": [Path(path).read_bytes() for path in frame["path"]]})
    with from_files(frame, class_mode=None) as other:
        with from_dataset(blobs, image_column="picture", class_mode=None) as flow:
            assert flow.digest() == other.digest()
        with from_dataset(on_disk, image_column="path", class_mode=None) as flow:
            assert flow.digest() == other.digest()


def test_what_is_in_memory_travels_as_arrays_which_workers_share() -> None:
    noise = Pillow.fromarray(pixels(0, (900, 900, 3), "uint8"))
    dataset = Dataset.from_dict({"image": [noise, noise]}, Features({"image": Image()}))
    with from_dataset(dataset, class_mode=None) as flow:
        column = flow._source().column
        assert isinstance(column, PackedColumn)
        assert column.data.nbytes > 1 << 20
        luggage = pack(flow._make_batches())
        assert len(luggage.payload) < 20_000
        for segment in luggage.segments.values():
            segment.close()


def test_what_lies_in_files_travels_by_their_names(on_disk: Dataset) -> None:
    with from_dataset(on_disk) as flow:
        source = flow._source()
        assert isinstance(source.column, MappedColumn)
        assert source.column.dataset.column_names == ["image"]
        other = pickle.loads(pickle.dumps(source))
        assert other.read(np.array([5, 0, 5])) == source.read(np.array([5, 0, 5]))


def test_a_row_without_an_image_is_told(dataset: Dataset, tmp_path: Path) -> None:
    features = Features({"image": Image()})
    rows = [None, {"bytes": b"no image", "path": "a.png"}, {"bytes": None, "path": str(tmp_path / "gone.png")}]
    lost = Dataset.from_dict({"image": rows}, features, split="train")
    if dataset.cache_files:  # which take the bytes of all files with them
        Pillow.new("RGB", (9, 9)).save(tmp_path / "gone.png")
        lost.save_to_disk(tmp_path / "lost")
        lost = load_from_disk(tmp_path / "lost").select([0, 1])
    for row, message in enumerate(
        [
            r"^train\[0\] holds no image\. Leave such rows out",
            r"'train\[1\]'",
            r"^train\[2\] lies in '.*gone\.png', which cannot be read: No such file.* Put it there",
        ]
    ):
        if row == len(lost):
            break
        with from_dataset(lost, class_mode=None, shuffle=False, batch_size=1, workers=0) as flow:
            with pytest.raises(ImageError, match=message) as caught:
                flow[row]
            assert (caught.value.index, caught.value.path) == (row, f"train[{row}]")
    both = concatenate_datasets([lost.select([0]), dataset.select_columns(["image"])])
    with from_dataset(both, class_mode=None, shuffle=False, on_error="skip") as flow:
        assert len(next(flow)) == 3
        assert flow.stats.bad[0].index == 0


def test_a_label_that_is_missing_is_told() -> None:
    features = Features({"image": Image(), "label": ClassLabel(names=["a", "b"])})
    picture = Pillow.new("RGB", (5, 5))
    hidden = Dataset.from_dict({"image": [picture] * 2, "label": [1, -1]}, features)  # as in test sets
    with pytest.raises(TypeError, match=r"'label' of dataset\[1\] is None\. Leave such samples out, or use another"):
        from_dataset(hidden)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"image_column": "img"}, ValueError, r"`image_column` should be one of the columns \['path', .* 'img'"),
        ({"label_column": "none"}, ValueError, "`label_column` should be one of the columns"),
        ({"weight_column": "none"}, ValueError, "`weight_column` should be one of the columns"),
        ({"image_column": "box"}, TypeError, r"`image_column` should hold images.*dataset\.cast_column\('box'"),
        ({"class_mode": "binary"}, ValueError, "needs 2 classes. Found 4"),
        ({"label_column": None}, ValueError, "`label_column` should be one of the columns.* None"),
        ({"label_column": "image"}, TypeError, r"'image' of dataset\[0\] is .{,120}\. Leave such"),
        ({"classes": "owl"}, TypeError, "`classes` should be a list of classes"),
        ({"classes": [0, 1]}, ValueError, "`classes` should be some of those in 'label': .* Received: 0, 1"),
        ({"targetsize": (3, 3)}, TypeError, r"flow_from_dataset\(\) got .* Did you mean 'target_size'"),
    ],
)
def test_what_is_of_no_use_is_told(in_memory: Dataset, options: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        from_dataset(in_memory, **options)


def test_an_address_is_not_taken_for_a_file() -> None:
    rows = {"image": ["https://me:secret@127.0.0.1/a.jpg"]}
    away = Dataset.from_dict(rows, Features({"image": Image()}))
    with (
        from_dataset(away, class_mode=None, workers=0) as flow,
        pytest.raises(ImageError, match="not fetched") as caught,
    ):
        next(flow)
    assert "secret" not in str(caught.value)


def test_what_is_no_data_set_with_random_access_is_refused(in_memory: Dataset) -> None:
    with pytest.raises(TypeError, match=r"one of its splits: `dataset\[name\]`, for name of \['train', 'test'\]"):
        from_dataset(DatasetDict(train=in_memory, test=in_memory))
    streamed = in_memory.to_iterable_dataset()
    assert isinstance(streamed, IterableDataset)
    with pytest.raises(TypeError, match=r"random access, which a streamed `IterableDataset` has not.*penstock\.feed"):
        from_dataset(streamed)
    with pytest.raises(TypeError, match=r"should be a `datasets\.Dataset`\. Received: list"):
        from_dataset([])


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match=r"pip install \"penstock\[datasets\]\""):
        from_dataset([])
