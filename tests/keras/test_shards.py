"""`flow_from_shards`: archives of WebDataset's, fed as files are."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import webdataset
from PIL import Image
from webdataset.tariterators import group_by_keys, tar_file_iterator

import penstock
from penstock import ImageDataGenerator, ImageError, ShardIterator
from penstock.feeding.executors._travel import pack
from penstock.keras._run_params import file_names, listed_files
from s3_server import SECRET, S3Server
from strategies import pixels

GENERATOR = ImageDataGenerator(rotation_range=30, horizontal_flip=True, rescale=1 / 255, validation_split=0.25)
SMALL: dict[str, Any] = {"target_size": (20, 24), "batch_size": 4, "seed": 3}
COUNT, SHARDS = 14, 3


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("files")
    rows = []
    for k in range(COUNT):
        name = f"{k}.{'jpg' if k % 2 else 'png'}"
        Image.fromarray(pixels(k, (24 + k, 31 - k, 3), "uint8")).save(folder / name)
        row = {"path": str(folder / name), "number": k % 3, "text": ["owl", "cat"][k % 2]}
        rows.append(row | {"age": 1.5 * k, "tags": [["a"], ["b", "a"]][k % 2], "box": [k, 2 * k]})
    return pd.DataFrame(rows)


def write(path: Path, rows: pd.DataFrame) -> None:
    """By WebDataset's own writer."""
    with webdataset.TarWriter(str(path)) as writer:
        for row in rows.to_dict("records"):
            kind = row["path"][-3:]
            known = {name: row[name] for name in ("age", "tags", "box")}
            sample = {
                kind.upper() if row["age"] == 0 else kind: Path(row["path"]).read_bytes(),
                "cls": str(row["number"]).encode(),
                "label.txt": row["text"].encode() + b"\n",
                "json": json.dumps(known).encode(),
                "pyd": pickle.dumps(Trap()),
            }
            writer.write({"__key__": f"part/{int(row['age'] * 10):05}", **sample})


class Trap:
    def __reduce__(self) -> Any:
        return os.abort, ()


@pytest.fixture(scope="module")
def folder(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("shards")
    for number, rows in enumerate(np.array_split(np.arange(COUNT), SHARDS)):
        write(made / f"train-{number:04}.tar", frame.iloc[rows])
    return made


def from_shards(shards: Any, **options: Any) -> ShardIterator:
    return GENERATOR.flow_from_shards(shards, **{**SMALL, **options})


def from_files(frame: pd.DataFrame, label: Any, **options: Any) -> Any:
    return GENERATOR.flow_from_dataframe(frame, None, "path", label, **{**SMALL, "workers": 0, **options})


@pytest.mark.parametrize("kind", [{"workers": 0}, {"workers": 3}, {"workers": 1, "use_multiprocessing": True}])
def test_samples_are_fed_as_the_same_images_in_files(folder: Path, frame: pd.DataFrame, kind: dict[str, Any]) -> None:
    shards = f"{folder}/train-{{0000..0002}}.tar"
    with from_shards(shards, **kind) as flow, from_files(frame, "number", class_mode="raw") as other:
        assert flow.class_indices == {0: 0, 1: 1, 2: 2}
        assert flow.filenames[:2] == ["train-0000.tar/part/00000.PNG", "train-0000.tar/part/00015.jpg"]
        for _ in range(2 * len(flow)):
            (images, labels), (expected, numbers) = next(flow), next(other)
            np.testing.assert_array_equal(images, expected)
            np.testing.assert_array_equal(labels.argmax(axis=1), numbers)


def test_webdataset_reads_the_same(folder: Path) -> None:
    theirs: list[Any] = []
    for path in sorted(folder.glob("*.tar")):
        with path.open("rb") as stream:
            files = ({**each, "__url__": path.name} for each in tar_file_iterator(stream))
            theirs += group_by_keys(files)
    with from_shards(folder, shuffle=False) as flow:
        source = flow._source()
        assert [f"{each['__url__']}/{each['__key__']}" for each in theirs] == [
            name.rpartition(".")[0] for name in flow.filenames
        ]
        blobs = source.read(np.arange(COUNT))
        assert [bytes(blob) for blob in blobs] == [each.get("png") or each["jpg"] for each in theirs]
        assert flow.classes == [int(each["cls"]) for each in theirs]


@pytest.mark.parametrize(
    ("mode", "column", "options"),
    [
        ("categorical", "text", {"label": "label.txt"}), ("binary", "text", {"label": "Label.TXT"}),
        ("raw", "number", {"label": "cls"}),
        ("categorical", "tags", {"label": "json", "label_field": "tags"}),
        ("raw", "age", {"label": "json", "label_field": "age"}),
        ("multi_output", ["age", "number"], {"label": "json", "label_field": ["age", "box"]}),
        ("input", "text", {}), (None, "text", {}),
    ],
)  # fmt: skip
def test_class_modes_are_those_of_dataframes(
    folder: Path, frame: pd.DataFrame, mode: Any, column: Any, options: dict[str, Any]
) -> None:
    with from_shards(folder, class_mode=mode, **options) as flow, from_files(frame, column, class_mode=mode) as other:
        if mode != "multi_output":
            assert flow.digest() == other.digest()
            return
        ages, boxes = next(flow)[1]
        np.testing.assert_array_equal(ages, next(other)[1][0])
        np.testing.assert_array_equal(boxes[:, 0] * 1.5, ages)


@pytest.mark.parametrize("subset", ["training", "validation"])
def test_a_split_is_that_of_a_dataframe(folder: Path, frame: pd.DataFrame, subset: str) -> None:
    options = {"subset": subset, "classes": ["cat"]}
    with from_shards(folder, label="label.txt", **options) as flow, from_files(frame, "text", **options) as other:
        assert flow.digest() == other.digest()


def test_a_state_goes_on_elsewhere(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "moved").symlink_to(folder)
    with from_shards(folder) as flow, from_shards(tmp_path / "moved", seed=None, workers=0) as other:
        for _ in range(5):
            next(flow)
        other.load_state_dict(flow.state_dict())
        np.testing.assert_array_equal(next(flow)[0], next(other)[0])
        assert file_names(flow)[1] == tuple(f"train-{k:04}.tar" for k in range(SHARDS))


def test_the_first_kind_of_image_counts_and_samples_without_are_told(folder: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="7 samples have no file that ends in jpg"):
        flow = from_shards(folder, image="jpg", class_mode=None)
    assert flow.samples == 7
    flow.close()
    path = archive(tmp_path, {"a.jpg": b"1", "a.seg.png": b"2", "b.seg.png": b"3", "b.jpg": b"4", "__meta__": b"{}"})
    with from_shards(path, image="seg.png; jpg", class_mode=None) as flow:
        assert [bytes(blob) for blob in flow._source().read(np.arange(2))] == [b"2", b"3"]


def archive(folder: Path, files: dict[str, bytes], name: str = "a.tar") -> Path:
    with tarfile.open(folder / name, "w") as made:
        for member, data in files.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return folder / name


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ({"a.jpg": b""}, {}, r"'.*a\.tar/a\.jpg' has no label that ends in 'cls'; what is there: jpg\. Set `label`"),
        ({"a.jpg": b"", "a.cls": b"cat"}, {}, r"The label of '.*a\.jpg' should be a number\. It begins with b'cat'"),
        ({"a.jpg": b"", "a.txt": b"\xff"}, {"label": "txt"}, "should be text"),
        ({"a.jpg": b"", "a.json": b'{"x": 1}'}, {"label": "json", "label_field": "y"}, "should hold 'y' in JSON"),
        ({"a.jpg": b"", "a.cls": b"1"}, {"label_field": "y"}, "`label_field` is of labels in JSON"),
        ({"a.jpg": b"", "a.pyd": b""}, {"label": "pyd"}, "should end in one of .* nothing else is read, or unpickled"),
        ({"a.txt": b""}, {}, "No images found in 1 archives. Looked for names that end in jpg, jpeg, png"),
        ({"a.jpg": b"", "a.JPG": b""}, {}, "holds 'a.JPG' twice"),
    ],
)  # fmt: skip
def test_what_is_of_no_use_is_told(tmp_path: Path, files: Any, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_shards(archive(tmp_path, files), **options)


def test_compressed_archives_and_unknown_keywords_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress((folder / "train-0000.tar").read_bytes()))
    with pytest.raises(ValueError, match=r"'.*a\.tar\.gz' is compressed by gzip, so nobody can read an image"):
        from_shards(tmp_path / "a.tar.gz")
    with pytest.raises(TypeError, match=r"flow_from_shards\(\) got .*'suffle'\. Did you mean 'shuffle'"):
        from_shards(folder, suffle=True)


def test_an_archive_that_changes_is_told(frame: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    write(path, frame)
    with from_shards(path, shuffle=False, workers=0) as flow:
        next(flow)
        path.rename(tmp_path / "b.tar")
        with pytest.raises(
            ImageError, match=r"'.*a\.tar/part/00060\.png' cannot be read: No such file.* Put the"
        ) as caught:
            next(flow)
        assert (caught.value.index, caught.value.path) == (4, str(path / "part/00060.png"))
        write(path, frame)
        with pytest.raises(ImageError, match=r"has changed since it was listed\. Make a new flow"):
            next(flow)
        path.unlink()
        (tmp_path / "b.tar").rename(path)
        assert next(flow)[0].shape == (4, 20, 24, 3), "the batch that was due"


def test_on_error_has_an_answer_for_a_damaged_image(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "train-0000.tar").read_bytes()
    with tarfile.open(folder / "train-0000.tar") as opened:
        (member,) = [each for each in opened if each.name == "part/00015.jpg"]
    broken = whole[: member.offset_data] + bytes(member.size) + whole[member.offset_data + member.size :]
    (tmp_path / "a.tar").write_bytes(broken)
    with from_shards(tmp_path / "a.tar", shuffle=False, on_error="skip") as flow:
        assert len(next(flow)[0]) == 3
        assert (flow.stats.bad[0].index, flow.stats.bad[0].path) == (1, str(tmp_path / "a.tar/part/00015.jpg"))


def test_what_is_known_of_many_samples_travels_as_arrays(tmp_path: Path) -> None:
    files = {f"{k:0600}.jpg": b"" for k in range(2000)}
    with from_shards(archive(tmp_path, files), class_mode=None) as flow:
        luggage = pack(flow._make_batches())
        assert len(luggage.payload) < 500_000, "the names alone are 1.2 MB"
        for segment in luggage.segments.values():
            segment.close()


@pytest.fixture(scope="module")
def bucket(folder: Path, _s3_server: S3Server) -> None:
    _s3_server.put("shards")
    for path in folder.glob("*.tar"):
        _s3_server.put(f"shards/in/{path.name}", path.read_bytes())


@pytest.fixture
def in_memory(folder: Path) -> Iterator[Any]:
    memory = pytest.importorskip("fsspec").filesystem("memory")
    for path in folder.glob("*.tar"):
        memory.pipe_file(f"/shards/{path.name}", path.read_bytes())
    yield memory
    memory.rm("/shards", recursive=True)


@pytest.mark.parametrize(
    "shards",
    ["memory://shards/train-{0000..0002}.tar", "memory://shards/train-*.tar", "memory://shards/",
     ["memory://shards/train-0000.tar", "memory://shards/train-000{1,2}.tar"]],
)  # fmt: skip
def test_archives_behind_urls_are_fed_as_those_here(folder: Path, in_memory: Any, shards: Any) -> None:
    with from_shards(shards, subset="training") as flow, from_shards(folder, subset="training") as local:
        assert flow.filenames == local.filenames
        assert flow.filepaths == [f"memory://shards/{name}" for name in flow.filenames]
        assert (flow.classes, flow.directory) == (local.classes, "memory://shards")
        assert flow.digest() == local.digest()
        assert file_names(flow) == ((), ())
        assert [each[:2] for each in listed_files(flow)] == [
            (name, os.path.getsize(folder / name)) for name in file_names(local)[1]
        ]


@pytest.mark.parametrize("kind", [{"workers": 2}, {"workers": 1, "use_multiprocessing": True}])
def test_archives_in_a_bucket_are_read_by_parts(folder: Path, bucket: None, s3: S3Server, kind: dict[str, Any]) -> None:
    options = {"storage_options": s3.options, "class_mode": None}
    with from_shards("s3://shards/in/train-{0000..0002}.tar", **options, **kind) as flow:
        s3.asked.clear()
        with from_shards(folder, class_mode=None) as local:
            for _ in range(len(flow)):
                np.testing.assert_array_equal(next(flow), next(local))
        assert SECRET not in f"{flow!r} {vars(flow)} {flow._source()!r}"
    assert sum(s3.gets()) >= COUNT


def test_the_parts_of_a_batch_are_asked_for_at_once(bucket: None, s3: S3Server) -> None:
    options = {"storage_options": s3.options, "class_mode": None, "workers": 0, "batch_size": COUNT}
    with from_shards("s3://shards/in/train-*.tar", **options) as flow:
        meeting = threading.Barrier(COUNT)

        def fault(method: str, path: str, number: int) -> None:
            meeting.wait(30)

        s3.fault = fault
        assert len(next(flow)) == COUNT


def test_what_is_wrong_with_archives_behind_urls_is_told(folder: Path, in_memory: Any) -> None:
    whole = (folder / "train-0000.tar").read_bytes()
    in_memory.pipe_file("/shards/a.tar.gz", gzip.compress(whole))
    in_memory.pipe_file("/shards/b.tar", whole[:1600])
    for shards, message in [
        ("memory://shards/none-{0..1}.tar", r"There is no file 'memory://shards/none-0\.tar'"),
        ("memory://shards/none-*.tar", "at least one archive that is there"),
        ("memory://nowhere/", "at least one archive that is there"),
        ("memory://shards/a.tar.gz", r"'memory://shards/a\.tar\.gz' is compressed by gzip"),
        ("memory://shards/b.tar", r"'memory://shards/b\.tar' is cut short|damaged"),
        (["memory://shards/train-0000.tar", str(folder)], "all lie on this machine, or all behind URLs of one kind"),
        (["memory://shards/train-0000.tar"] * 2, "each archive once"),
        ("zip://a.zip", "lie in no other"),
    ]:
        with pytest.raises(ValueError, match=message):
            from_shards(shards)
    with pytest.raises(ValueError, match="`storage_options` are for URLs"):
        from_shards(folder, storage_options={"key": "k"})


def test_an_archive_behind_a_url_that_changes_is_told(in_memory: Any) -> None:
    with from_shards("memory://shards/train-0000.tar", shuffle=False, workers=0, on_error="skip") as flow:
        in_memory.pipe_file("/shards/train-0000.tar", b"less than there was")
        with pytest.raises(penstock.BatchError):
            next(flow)
    with from_shards("memory://shards/train-0001.tar", shuffle=False, workers=0) as flow:
        in_memory.rm("/shards/train-0001.tar")
        with pytest.raises(ImageError, match=r"'memory://shards/train-0001\.tar/part/.*' cannot be read: it is not"):
            next(flow)
