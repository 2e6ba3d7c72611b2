"""Flows from stores: the batches of local files, and ends that tell what went wrong."""

from __future__ import annotations

import functools
import gc
import http.server
import importlib
import io
import os
import pickle
import shutil
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import penstock
from penstock import Flow, ImageDataGenerator, ImageError
from penstock.keras._run_params import flow_params, listed_files
from penstock.sources import _direct, _file_system, _storage
from penstock.sources._remote_folders import list_folders
from penstock.tracking._files import files_fingerprint, listed_fingerprint
from photographs import write_photographs
from s3_server import KEY, SECRET, Meeting, S3Server

fsspec = pytest.importorskip("fsspec")
pytest.importorskip("moto")
OPTIONS: dict[str, Any] = {"target_size": (12, 10), "batch_size": 4, "seed": 3}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders whose order is easily got wrong."""
    folder = tmp_path_factory.mktemp("remote") / "train"
    write_photographs(folder, cat=5, dog=2)
    write_photographs(folder / "dog", **{"sub": 2, "sub-a": 1, ".deep": 1})
    write_photographs(folder, **{"dog-x": 2, "a b": 1, ".hidden": 1})
    (folder / "dog" / "readme.txt").write_text("no image")
    (folder / "stray.jpg").write_bytes(b"in no class")
    shutil.copy(folder / "cat" / "0.jpg", folder / "cat" / "10%20ä.JPG")
    return folder


@pytest.fixture(scope="module")
def archives(tree: Path) -> Path:
    """The same in archives, one above the other folder."""
    folder = tree.parent
    files = sorted(path for path in tree.rglob("*") if path.is_file())
    for name, method in (("stored.zip", zipfile.ZIP_STORED), ("deflated.zip", zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(folder / name, "w", method) as archive:
            for path in reversed(files):
                archive.write(path, path.relative_to(tree))
            archive.writestr("__MACOSX/._0.jpg", b"of the Finder's")
    with tarfile.open(folder / "train.tar", "w") as tar:
        tar.add(tree, "./train")
    return folder


@pytest.fixture(scope="module")
def bucket(_s3_server: S3Server, archives: Path, tree: Path) -> S3Server:
    """The same in a bucket."""
    _s3_server.put("images")
    for path in tree.rglob("*"):
        if path.is_file():
            _s3_server.put(f"images/train/{path.relative_to(tree).as_posix()}", path.read_bytes())
    for name in ("deflated.zip", "train.tar"):
        _s3_server.put(f"images/{name}", (archives / name).read_bytes())
    return _s3_server


@pytest.fixture
def webpage(tree: Path) -> Iterator[str]:
    """The same behind pages of links."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections last

        def log_message(self, *args: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(tree.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time between two tries."""
    for module in (_storage, _direct):
        monkeypatch.setattr(module, "wait_s", lambda turn, number: 0.0)


@pytest.fixture(params=["by libcurl", "by fsspec"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of sending requests."""
    if request.param == "by fsspec":
        monkeypatch.setattr(_file_system, "_direct", lambda system: None)


def flow_from(directory: Any, **options: Any) -> Flow:
    generator = ImageDataGenerator(rotation_range=30, rescale=1 / 255, validation_split=0.4)
    return generator.flow_from_directory(directory, **{**OPTIONS, **options})


def of_bucket(s3: S3Server, path: str = "s3://images/train", **options: Any) -> Flow:
    return flow_from(path, storage_options=s3.options, **options)


def into_memory(tree: Path) -> None:
    memory = fsspec.filesystem("memory")
    if not memory.exists("/train"):
        memory.put(str(tree), "/train", recursive=True)


def seen(flow: Flow) -> Any:
    with flow:
        return flow.filenames, flow.class_indices, flow.classes.tolist(), flow.digest(0)


PLACES: dict[str, Callable[[Path, str], str]] = {
    "file": lambda folder, page: f"file://{folder}/train",
    "stored zip": lambda folder, page: f"zip://{folder}/stored.zip",
    "deflated zip": lambda folder, page: f"zip::file://{folder}/deflated.zip",
    "folder in a tar": lambda folder, page: f"tar://train::{folder}/train.tar",
    "memory": lambda folder, page: "memory://train",
    "web page": lambda folder, page: f"{page}/train",
    "bucket": lambda folder, page: "s3://images/train/",
    "zip in a bucket": lambda folder, page: "zip::s3://images/deflated.zip",
    "tar in a bucket": lambda folder, page: "tar://train/::s3://images/train.tar",
}


@pytest.mark.parametrize("place", PLACES)
def test_the_same_tree_gives_the_same_batches_wherever_it_lies(
    place: str, bucket: S3Server, s3: S3Server, tree: Path, archives: Path, webpage: str
) -> None:
    if place == "memory":
        into_memory(tree)
    url = PLACES[place](archives, webpage)
    options = {"storage_options": s3.options} if "s3:" in url else {}
    for more in ({}, {"subset": "training"}, {"subset": "validation", "classes": ["dog", "none", "cat"]}):
        assert seen(flow_from(url, **options, **more)) == seen(flow_from(tree, **more))


def test_worker_processes_open_the_store_for_themselves(bucket: S3Server, s3: S3Server, tree: Path) -> None:
    with of_bucket(s3, workers=1, use_multiprocessing=True) as flow, flow_from(tree) as local:
        for _ in range(len(flow)):
            for one, other in zip(next(flow), next(local), strict=True):
                np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("place", ["stored zip", "memory", "zip in a bucket"])
def test_sources_travel_without_what_is_open(
    place: str, bucket: S3Server, s3: S3Server, tree: Path, archives: Path
) -> None:
    into_memory(tree)
    url = PLACES[place](archives, "")
    listing = list_folders(url, storage_options=s3.options if "s3:" in url else None)
    source, everything = listing.encoded, np.arange(len(listing.filenames))
    assert source is not None
    blobs = [bytes(blob) for blob in source.read(everything)]
    other = pickle.loads(pickle.dumps(source))
    assert [bytes(blob) for blob in other.read(everything)] == blobs
    assert blobs == [(tree / name).read_bytes() for name in listing.filenames]


def test_all_files_of_a_batch_are_asked_for_at_once(bucket: S3Server, s3: S3Server, way: None) -> None:
    with of_bucket(s3, batch_size=11, workers=0, shuffle=False) as flow:
        s3.fault = Meeting(11)
        assert len(next(flow)[0]) == 11


@pytest.mark.parametrize("place", ["web page", "bucket", "tar in a bucket"])
def test_images_are_read_past_fsspec(
    place: str, bucket: S3Server, s3: S3Server, webpage: str, archives: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for system in (fsspec.get_filesystem_class("s3"), fsspec.get_filesystem_class("http")):

        async def counted(self: Any, path: str, original: Any = system._cat_file, **more: Any) -> bytes:
            calls.append(path)
            content: bytes = await original(self, path, **more)
            return content

        monkeypatch.setattr(system, "_cat_file", counted)
    url = PLACES[place](archives, webpage)
    with flow_from(url, storage_options=None if place == "web page" else s3.options) as flow:
        flow.digest(0)
        assert calls == ([] if place == "web page" else ["images/a ~/ä"]), "which is not sent"


@pytest.mark.parametrize("ending", ["closed", "forgotten"])
def test_no_connection_outlives_a_flow(webpage: str, ending: str) -> None:
    flow = flow_from(f"{webpage}/train", workers=0)
    next(flow)
    opened = flow._found.encoded.storage._opened
    transfers = opened.direct._transfers
    assert transfers._thread.is_alive()
    del opened
    if ending == "closed":
        flow.close()
    del flow
    gc.collect()
    assert not transfers._thread.is_alive()


def test_the_next_batches_are_under_way_at_the_same_time(bucket: S3Server, s3: S3Server) -> None:
    s3.fault = Meeting(8)
    with of_bucket(s3, batch_size=2, workers=4, shuffle=False) as flow:
        for _ in range(4):
            next(flow)


def test_a_listing_is_one_request_for_each_class_and_one_for_the_classes(bucket: S3Server, s3: S3Server) -> None:
    with of_bucket(s3) as flow:
        assert s3.asked == {("GET", "/images"): 1 + flow.num_classes}
        s3.asked.clear()
        next(flow)
        assert set(s3.asked.values()) == {1}
        assert not any(method == "HEAD" for method, _ in s3.asked)  # no request for the size of each


def test_what_passes_is_tried_again(bucket: S3Server, s3: S3Server, at_once: None, tree: Path, way: None) -> None:
    faults = [503, "reset", 429, 500]
    s3.fault = lambda method, path, number: faults[number - 1] if path.endswith("1.jpg") and number <= 4 else None
    assert seen(of_bucket(s3)) == seen(flow_from(tree))
    assert set(s3.gets("1.jpg")) == {5}


def test_what_lasts_is_an_error_that_names_the_object(bucket: S3Server, s3: S3Server, at_once: None, way: None) -> None:
    s3.fault = lambda method, path, number: 503 if path.endswith("cat/1.jpg") else None
    with (
        of_bucket(s3, shuffle=False, workers=0) as flow,
        pytest.raises(ImageError, match=r"'s3://images/train/cat/1\.jpg' cannot be read: .*fault of the test"),
    ):
        seen(flow)
    assert s3.gets("cat/1.jpg") == [5]


def test_what_does_not_pass_is_not_tried_again(bucket: S3Server, s3: S3Server, way: None) -> None:
    s3.fault = lambda method, path, number: 403 if path.endswith("cat/1.jpg") else None
    with of_bucket(s3, shuffle=False, batch_size=12, workers=0) as flow:
        with pytest.raises(ImageError, match=r"access is denied .*`storage_options`") as caught:
            next(flow)
        assert caught.value.path == "s3://images/train/cat/1.jpg"
        assert caught.value.index == flow.filenames.index("cat/1.jpg")
        assert s3.gets("cat/1.jpg") == [1]


def test_objects_that_are_gone_are_skipped_or_substituted(bucket: S3Server, s3: S3Server, way: None) -> None:
    s3.fault = lambda method, path, number: 404 if path.endswith("cat/1.jpg") else None
    with of_bucket(s3, shuffle=False, batch_size=13, on_error="skip") as flow:
        assert len(next(flow)[0]) == 12
        assert "it is not there" in flow.stats.bad[0].reason
    with of_bucket(s3, shuffle=False, batch_size=13, on_error="substitute") as flow:
        assert len(next(flow)[0]) == 13


def test_a_server_that_never_answers_is_given_up_in_time(bucket: S3Server, s3: S3Server, way: None) -> None:
    with of_bucket(s3, shuffle=False, timeout=1.5) as flow:
        s3.fault = lambda method, path, number: "silence" if path.endswith("cat/1.jpg") else None
        with pytest.raises(ImageError, match=r"cat/1\.jpg' cannot be read: the server did not answer in time"):
            seen(flow)


def test_a_closed_flow_waits_for_no_server(bucket: S3Server, s3: S3Server, way: None) -> None:
    asked = threading.Event()

    def never(method: str, path: str, number: int) -> str:
        asked.set()
        return "silence"

    def ask() -> None:
        try:
            next(flow)
        except penstock.PenstockError as error:
            ends.append(type(error))

    ends: list[type] = []
    others = set(threading.enumerate())
    flow = of_bucket(s3, workers=1)
    s3.fault = never
    asker = threading.Thread(target=ask)
    asker.start()
    assert asked.wait(30)
    threads = [
        thread for thread in threading.enumerate() if thread.name.startswith("penstock") and thread not in others
    ]
    flow.close()
    asker.join(30)
    assert threads
    assert ends == [penstock.FlowClosed]
    assert not any(thread.is_alive() for thread in [asker, *threads])


def test_a_listing_that_fails_is_an_error_and_not_fewer_images(
    bucket: S3Server, s3: S3Server, at_once: None, webpage: str
) -> None:
    s3.fault = lambda method, path, number: 503 if number > 2 else None
    with pytest.raises(OSError, match=r"'s3://images/train.*should not be missing unnoticed: .*fault of the test"):
        of_bucket(s3)
    s3.fault = lambda method, path, number: 403
    with pytest.raises(PermissionError, match="access is denied"):
        of_bucket(s3)
    s3.reset()
    with pytest.raises(ValueError, match="'s3://images/nothing' does not exist"):
        of_bucket(s3, "s3://images/nothing")
    with pytest.raises(ValueError, match="'s3://nobody-has-it/train' does not exist"):
        of_bucket(s3, "s3://nobody-has-it/train")
    with pytest.raises(ValueError, match=r"'s3://images/train\.tar' is a file"):
        of_bucket(s3, "s3://images/train.tar")
    with pytest.raises(OSError, match="cannot be listed"):
        flow_from("http://127.0.0.1:9/train", timeout=0.5)


def test_nothing_shows_a_secret(
    bucket: S3Server,
    s3: S3Server,
    at_once: None,
    webpage: str,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    said: list[str] = []

    def listen(function: Callable[[], Any]) -> None:
        with pytest.raises((OSError, ValueError, penstock.BatchError)) as caught:
            function()
        error: BaseException | None = caught.value
        while error is not None:
            said.append(f"{error!r} {error} {vars(error)} {getattr(error, '__notes__', '')}")
            error = error.__cause__

    with of_bucket(s3, workers=0) as flow:
        said += [repr(flow), repr(vars(flow)), str(flow.state_dict()), str(flow_params(flow)), str(listed_files(flow))]
        s3.fault = lambda method, path, number: 403
        listen(lambda: next(flow))
        said.append(str(flow.stats))
    listen(lambda: of_bucket(s3))
    listen(lambda: flow_from("s3://images/train", storage_options={**s3.options, SECRET: SECRET}))
    listen(lambda: flow_from("file:///tmp", storage_options=s3.options))
    signed = webpage.replace("//", f"//me:{SECRET}@")
    with flow_from(f"{signed}/train", workers=0) as flow:
        said += [repr(flow), repr(vars(flow)), str(flow_params(flow)), flow.directory, *flow.filepaths, *flow.filenames]
        assert len(next(flow)) == 2
    listen(lambda: flow_from(f"{signed}/none"))
    urls = pd.DataFrame({"filename": [f"{signed}/train/cat/{name}.jpg?X-Amz-Signature={SECRET}" for name in (0, 77)]})
    options = {"class_mode": None, "workers": 0, "shuffle": False, "batch_size": 2}
    with ImageDataGenerator().flow_from_dataframe(urls, validate_filenames=False, **options) as flow:
        said += [repr(flow), repr(vars(flow)), str(flow_params(flow)), *flow.filepaths, *flow.filenames]
        listen(lambda: next(flow))
    printed = capsys.readouterr()
    said += [printed.out, printed.err, caplog.text]
    for text in said:
        assert SECRET not in text
        assert KEY not in text


def test_rows_of_a_dataframe_may_be_urls(bucket: S3Server, s3: S3Server, tree: Path, webpage: str) -> None:
    names = ["cat/0.jpg", "dog/1.jpg", "cat/none.jpg", "dog/readme.txt", "dog/sub/1.jpg"]
    rows = pd.DataFrame({"filename": names, "class": ["c", "d", "c", "d", "d"]})

    def flow(base: str = "", directory: Any = None, **options: Any) -> Flow:
        frame = rows.assign(filename=[base + name for name in names])
        with pytest.warns(UserWarning, match="2 invalid image filename"):
            return ImageDataGenerator(shear_range=20).flow_from_dataframe(frame, directory, **OPTIONS, **options)

    with flow(directory=tree) as local:
        expected, good = local.digest(0), local.filenames
    keys = {"storage_options": s3.options}
    with flow("s3://images/train/", **keys) as remote:
        assert remote.filenames == [f"s3://images/train/{name}" for name in good]
        assert remote.digest(0) == expected
    for directory, options in [
        ("s3://images/train", keys),
        ("tar://train::s3://images/train.tar", keys),
        (f"zip://{tree.parent}/stored.zip", {}),
        (f"{webpage}/train", {}),
        (f"file://{tree}", {}),
    ]:
        with flow(directory=directory, **options) as remote:
            assert remote.filenames == good
            assert remote.digest(0) == expected
    with flow(f"file://{tree}/") as remote:
        assert remote.digest(0) == expected


def test_many_rows_of_a_folder_are_looked_up_by_one_list(bucket: S3Server, s3: S3Server) -> None:
    names = [f"s3://images/train/cat/{k}.jpg" for k in range(40)]
    with pytest.warns(UserWarning, match="35 invalid"):
        flow = ImageDataGenerator().flow_from_dataframe(
            pd.DataFrame({"filename": names}), class_mode=None, storage_options=s3.options
        )
    with flow:
        assert flow.samples == 5
        assert sum(s3.asked.values()) == 1


@pytest.mark.parametrize(
    ("names", "directory", "text"),
    [
        (["s3://b/a.jpg", "here.jpg"], None, "all be URLs of one kind, or none of them: 'here.jpg' is none"),
        (["s3://b/a.jpg", "http://h/b.jpg"], None, "of one kind, or none of them: these are of"),
        (["zip://a.jpg::s3://b/x.zip"], None, "give the archive as `directory`"),
    ],
)
def test_rows_of_several_kinds_are_refused(names: list[str], directory: str | None, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ImageDataGenerator().flow_from_dataframe(pd.DataFrame({"filename": names}), directory, class_mode=None)


def test_what_urls_need_is_named_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch, archives: Path) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    found = importlib.import_module("fsspec.registry")._registry
    for name in [name for name in ("s3", "s3a") if name in found]:  # before
        monkeypatch.delitem(found, name)
    with pytest.raises(ImportError, match=r"pip install \"penstock\[s3\]\""):
        flow_from("s3://images/train")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ImportError, match=r"pip install \"penstock\[remote\]\""):
        flow_from("https://example.org/train")
    with flow_from(f"zip://{archives}/stored.zip") as flow:  # nothing is needed for what lies here
        assert flow.samples


def test_urls_that_are_none_are_refused(tree: Path) -> None:
    with pytest.raises(ValueError, match=r"was a URL before `pathlib\.Path`"):
        flow_from(Path("s3://images/train"))
    with pytest.raises(ValueError, match="Protocol not known"):
        flow_from("nowhere://images/train")
    with pytest.raises(ValueError, match="`storage_options` are for URLs"):
        flow_from(tree, storage_options={"anon": True})
    with pytest.raises(TypeError, match="should be a dictionary"):
        flow_from("s3://images/train", storage_options="anon")


@pytest.mark.skipif(os.name != "posix", reason="needs flock")
def test_a_cache_serves_objects_until_they_change(bucket: S3Server, s3: S3Server, tree: Path, tmp_path: Path) -> None:
    content = (tree / "cat" / "0.jpg").read_bytes()
    for name in ("a", "b"):
        s3.put(f"images/changes/cat/{name}.jpg", content)

    def hits() -> tuple[int, Any]:
        with of_bucket(s3, "s3://images/changes", cache=tmp_path, shuffle=False, batch_size=2, workers=0) as flow:
            images = next(flow)[0]
            return flow.stats.cache_hits, images

    first = hits()
    assert first[0] == 0
    s3.asked.clear()
    second = hits()
    assert second[0] == 2
    assert not s3.gets(".jpg")
    np.testing.assert_array_equal(first[1], second[1])
    s3.put("images/changes/cat/b.jpg", (tree / "cat" / "1.jpg").read_bytes())
    third = hits()
    assert third[0] == 1
    assert not np.array_equal(third[1][1], second[1][1])


@pytest.mark.skipif(os.name != "posix", reason="needs flock")
def test_what_nothing_is_known_of_is_kept_for_the_life_of_the_flow(webpage: str, tmp_path: Path) -> None:
    for cache, hits in (("memory", 2), (tmp_path, 0)):
        with flow_from(f"{webpage}/train", classes=["dog-x"], cache=cache, workers=0) as flow:
            next(flow), next(flow)
            assert flow.stats.cache_hits == hits


def test_a_run_is_told_by_what_the_list_says(bucket: S3Server, s3: S3Server, tree: Path) -> None:
    with of_bucket(s3) as flow, flow_from(tree) as local:
        told = listed_fingerprint(listed_files(flow))
        here = files_fingerprint(local.filepaths, local.filenames)
    assert told["bytes"] == here["bytes"]
    assert told["fingerprint_without_times"] == here["fingerprint_without_times"]
    assert told["fingerprint"] != here["fingerprint"]


def test_archives_say_what_is_wrong_with_them(archives: Path, tmp_path: Path) -> None:
    def refused(url: str, text: str) -> None:
        with pytest.raises(ValueError, match=text):
            flow_from(url)

    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.add(archives / "train")
    refused(f"tar://{tmp_path}/a.tar.gz", "is compressed by gzip, so nobody can read an image from the middle of it")
    refused(f"zip://{archives}/train.tar", "should be a zip archive")
    refused(f"zip://{tmp_path}/none.zip", r"none\.zip' does not exist")
    refused(f"zip://{tmp_path}", "is a folder")
    refused(f"zip://nowhere::{archives}/stored.zip", "does not exist")
    refused("zip::zip::a.zip", "should name one archive")


def test_an_archive_that_is_damaged_or_changes_is_an_error(archives: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    content = bytearray((archives / "stored.zip").read_bytes())
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        at = archive.getinfo("cat/1.jpg").header_offset
    content[at + 200] ^= 1
    path.write_bytes(content)
    with flow_from(f"zip://{path}", shuffle=False, workers=0, batch_size=13, on_error="skip") as flow:
        next(flow)
        (bad,) = flow.stats.bad
        assert bad.path == f"zip://cat/1.jpg::{path}"
        assert "the archive is damaged: its sum" in bad.reason
    with flow_from(f"zip://{path}", shuffle=False, workers=0) as flow:
        shutil.copy(archives / "deflated.zip", path)
        with pytest.raises(ImageError, match=r"has changed since it was listed\. Make a new flow"):
            next(flow)


def test_flows_from_archives_leave_no_file_open(archives: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    with flow_from(f"zip://{archives}/stored.zip") as flow:
        next(flow)
    del flow
    gc.collect()
    if before:
        assert len(os.listdir("/proc/self/fd")) <= before
