"""Class folders in Keras's order, and files that are not what they should be."""

from __future__ import annotations

import multiprocessing.pool  # Keras uses it without importing it
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from keras.src.legacy.preprocessing.image import (
    DirectoryIterator as KerasDirectoryIterator,
    ImageDataGenerator as KerasGenerator,
)

from penstock import ImageError
from penstock._scratch import Scratch
from penstock.sources._files import FileSource, list_class_folders
from penstock.sources._listing import Listing
from strategies import examples

assert multiprocessing.pool


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """What folders of photographs hold in practice."""
    return make(
        tmp_path,
        "cats/b.jpg", "cats/a.JPG", "cats/A.jpg", "cats/10.png", "cats/9.png", "cats/notanimage_png", "cats/readme.txt",
        "cats/.hidden.png", "cats/nested/deep/z.bmp", "cats/nested/y.PpM", "cats/nested-2/x.TIF", "cats/Zoo/w.Jpeg",
        "cats/nested.png/v.gif", "cats/nested.png/u.png", "cats/t.png.bak", "cats/jpg",
        "dogs/1.jpg", "dogs/2.jpeg", "dogs/ä ö.png", "dogs/with space .png",
        "Birds/1.png", "empty/none.txt", ".ipynb_checkpoints/1-checkpoint.png", "top level.png",
    )  # fmt: skip


def keras_lists(directory: Path, split: float | None = None, subset: str | None = None, **options: Any) -> Any:
    generator = KerasGenerator(validation_split=split or 0.0)
    return KerasDirectoryIterator(str(directory), generator, subset=subset, **options)


def assert_same(ours: Listing, keras: Any) -> None:
    assert list(ours.filenames) == keras.filenames
    assert ours.filepaths == keras.filepaths
    assert ours.class_indices == keras.class_indices
    assert list(ours.class_indices) == list(keras.class_indices)
    assert ours.classes.dtype == keras.classes.dtype
    np.testing.assert_array_equal(ours.classes, keras.classes)


# --- listing --------------------------------------------------------------------------------------------------------


def test_files_come_in_keras_order(photos: Path) -> None:
    ours = list_class_folders(str(photos), hidden=True)
    assert_same(ours, keras_lists(photos))
    assert ours.class_indices == {".ipynb_checkpoints": 0, "Birds": 1, "cats": 2, "dogs": 3, "empty": 4}
    assert len(ours.filenames) == 19


def test_hidden_folders_are_no_classes_unless_asked_for(photos: Path) -> None:
    ours = list_class_folders(str(photos))
    shutil.rmtree(photos / ".ipynb_checkpoints")
    assert_same(ours, keras_lists(photos))


@pytest.mark.parametrize(
    "classes", [["dogs", "cats"], ["empty", "Birds"], ("cats", "missing", "dogs"), [".ipynb_checkpoints"]]
)
def test_given_classes_fix_names_and_numbers(photos: Path, classes: list[str]) -> None:
    """A class without a folder has no images, and is no error as long as another has some."""
    assert_same(list_class_folders(str(photos), classes=classes), keras_lists(photos, classes=classes))


@examples(60)
@given(
    counts=st.lists(st.integers(0, 12), min_size=1, max_size=4).filter(any),
    share=st.one_of(st.sampled_from([0.1, 0.25, 1 / 3, 0.5, 0.7, 0.9]), st.floats(0.01, 0.99)),
    subset=st.sampled_from(["training", "validation"]),
)
def test_each_class_is_split_as_keras_splits_it(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], share: float, subset: str
) -> None:
    root = tmp_path_factory.mktemp("split")
    for number, count in enumerate(counts):
        (root / f"class {number}").mkdir()
        make(root, *(f"class {number}/{file}.png" for file in range(count)))
    split = (0, share) if subset == "validation" else (share, 1)
    keras = keras_lists(root, share, subset)
    if keras.samples:
        assert_same(list_class_folders(str(root), split=split), keras)
    else:
        with pytest.raises(ValueError, match="between the shares"):
            list_class_folders(str(root), split=split)


@examples(30)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "B", "b/c", "b", "b-d", "b/C/d", "b.e"]),
            st.text("aAbB019._- é", min_size=1, max_size=6).filter(lambda name: name.strip(". ") != ""),
            st.sampled_from([".png", ".PNG", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".txt", ".gif", "png", ""]),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_any_names_are_listed_as_keras_lists_them(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[str, str, str]]
) -> None:
    root = make(tmp_path_factory.mktemp("names"), "z/last.png")
    for folder, stem, extension in files:
        path = root / "class" / folder / f"{stem}{extension}"
        if not path.exists():
            make(root, str(path.relative_to(root)))
    assert_same(list_class_folders(str(root)), keras_lists(root))


def test_a_path_and_a_trailing_slash_work_as_they_do_in_keras(photos: Path) -> None:
    assert list_class_folders(photos).filenames == list_class_folders(str(photos)).filenames
    keras = keras_lists(photos / ".")
    with_slash = KerasDirectoryIterator(f"{photos}{os.sep}", KerasGenerator())
    assert_same(list_class_folders(f"{photos}{os.sep}", hidden=True), with_slash)
    assert keras.filenames == with_slash.filenames


def test_tiff_files_are_warned_of_as_in_keras(photos: Path) -> None:
    make(photos, "dogs/scan.TIFF")
    words = 'Using ".tiff" files with multiple bands will cause distortion'
    with pytest.warns(UserWarning, match=words):
        ours = list_class_folders(str(photos), hidden=True)
    with pytest.warns(UserWarning, match=words):
        assert_same(ours, keras_lists(photos))


# --- links ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("follow_links", [False, True])
def test_links_are_followed_when_asked_for(
    photos: Path, tmp_path_factory: pytest.TempPathFactory, follow_links: bool
) -> None:
    elsewhere = make(tmp_path_factory.mktemp("elsewhere"), "1.png", "below/2.png")
    (photos / "dogs" / "linked").symlink_to(elsewhere)
    (photos / "linked class").symlink_to(elsewhere)
    (photos / "dogs" / "file.png").symlink_to(elsewhere / "1.png")
    (photos / "dogs" / "dangling.png").symlink_to(photos / "nowhere.png")
    ours = list_class_folders(str(photos), follow_links=follow_links, hidden=True)
    assert_same(ours, keras_lists(photos, follow_links=follow_links))
    assert (os.path.join("dogs", "linked", "below", "2.png") in ours.filenames) is follow_links


@pytest.mark.parametrize("target", ["..", ".", "../../cats", "deep/../.."])
def test_a_link_that_leads_back_ends_and_shows_each_image_once(photos: Path, target: str) -> None:
    without = list_class_folders(str(photos)).filenames
    (photos / "cats" / "nested" / "loop").symlink_to(target)
    assert list_class_folders(str(photos), follow_links=True).filenames == without


def test_classes_linked_to_one_another_end(photos: Path) -> None:
    alone = list_class_folders(str(photos)).classes.tolist()
    (photos / "cats" / "to dogs").symlink_to(photos / "dogs")
    (photos / "dogs" / "to cats").symlink_to(photos / "cats")
    both = list_class_folders(str(photos), follow_links=True)
    cats, dogs = (alone.count(both.class_indices[name]) for name in ("cats", "dogs"))
    for name in ("cats", "dogs"):
        assert both.classes.tolist().count(both.class_indices[name]) == cats + dogs


def test_two_links_to_one_folder_both_count_as_in_keras(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Only a link to a folder above never ends; one more name for a folder is the user's wish."""
    elsewhere = make(tmp_path_factory.mktemp("elsewhere"), "1.png")
    (photos / "dogs" / "once").symlink_to(elsewhere)
    (photos / "dogs" / "twice").symlink_to(elsewhere)
    ours = list_class_folders(str(photos), follow_links=True, hidden=True)
    assert_same(ours, keras_lists(photos, follow_links=True))


# --- nothing to list ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("directory", "options", "message"),
    [
        ("missing", {}, r"`directory` should be a folder that holds one folder per class. '.*missing' does not exist"),
        ("file.png", {}, r"`directory` should be a folder that holds one folder per class. '.*file.png' is a file"),
        ("empty", {}, r"'.*empty' holds no folder \(hidden ones do not count\)"),
        ("hidden", {}, r"'.*hidden' holds no folder \(hidden ones do not count\)"),
        ("imageless", {}, r"No images found in the 2 class folders of '.*imageless'. Looked for names that end in png"),
        ("one", {"split": (0, 0.4)}, r"No images found in the 1 class folders of '.*one' between the shares 0 and 0.4"),
        ("one", {"classes": ["b"]}, r"No images found in the 1 class folders"),
    ],
)
def test_nothing_to_list_says_what_was_due_and_what_is_there(
    tmp_path: Path, directory: str, options: dict[str, Any], message: str
) -> None:
    make(
        tmp_path,
        "file.png",
        "empty/loose.png",
        "hidden/.a/1.png",
        "imageless/a/1.txt",
        "imageless/b/2.gif",
        "one/a/1.png",
    )
    with pytest.raises(ValueError, match=message):
        list_class_folders(tmp_path / directory, **options)


# --- reading --------------------------------------------------------------------------------------------------------


def read(*paths: Path) -> list[bytes]:
    blobs = FileSource(tuple(map(str, paths))).read(np.arange(len(paths)))
    return [bytes(blob) for blob in blobs]


@pytest.mark.parametrize(
    "sizes", [[0], [1], [5, 0, 7], [131_072], [131_073], [131_071, 131_073, 10], [3_000_001, 4]], ids=str
)
def test_bytes_are_those_of_the_files_whatever_their_size(tmp_path: Path, sizes: list[int]) -> None:
    numbers = np.random.default_rng(0)
    contents = [numbers.bytes(size) for size in sizes]
    paths = [tmp_path / f"{k} ä.png" for k in range(len(sizes))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    assert read(*paths) == contents


@pytest.mark.parametrize("kept_bytes", [1 << 22, 1 << 19])
def test_bytes_are_the_same_in_memory_that_is_used_again(tmp_path: Path, kept_bytes: int) -> None:
    """Also where the first files, larger than was guessed, did not fit, and where they never will."""
    random = np.random.default_rng(0)
    expected = [random.bytes(size) for size in (3, 400_000, 300_000, 0, 5, 500_000)]
    paths = [tmp_path / f"{number}.png" for number in range(len(expected))]
    for path, content in zip(paths, expected, strict=True):
        path.write_bytes(content)
    source, scratch = FileSource(tuple(map(str, paths))), Scratch(0, kept_bytes)
    indices = np.array([0, 1, 2, 4, 5])
    for _ in range(3):
        blobs = source.attempt(indices, scratch)
        assert [bytes(blob) for blob in blobs] == [expected[index] for index in indices]
    has_room = sum(map(len, expected)) <= kept_bytes
    again = source.attempt(indices, scratch)
    for blob, other in zip(blobs, again, strict=True):
        assert np.shares_memory(np.frombuffer(blob, np.uint8), np.frombuffer(other, np.uint8)) == has_room


def test_a_file_that_is_larger_than_was_guessed_has_room_the_next_time(tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(bytes(400_000))
    source, scratch = FileSource((str(tmp_path / "large.png"),)), Scratch(0, 1 << 20)
    blobs = [np.frombuffer(source.attempt(np.array([0]), scratch)[0], np.uint8) for _ in range(3)]  # type: ignore[arg-type]
    assert scratch.nbytes == 400_000
    assert np.shares_memory(blobs[1], blobs[2])


def test_no_files_are_nothing_to_read() -> None:
    assert FileSource(()).attempt(np.array([], np.int64), Scratch(0, 100)) == []


def test_samples_are_picked_by_number_in_any_order(tmp_path: Path) -> None:
    paths = [tmp_path / f"{k}.png" for k in range(6)]
    for k, path in enumerate(paths):
        path.write_bytes(bytes([k]) * (k + 1))
    source = FileSource(tuple(map(str, paths)))
    assert len(source) == 6
    blobs = source.read(np.array([4, 0, 4, 5]))
    assert [bytes(blob) for blob in blobs] == [b"\4" * 5, b"\0", b"\4" * 5, b"\5" * 6]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", r"No such file or directory. Put it there, or make a new flow of what is there\.$"),
        ("folder", r"it is a folder, not a file. Move it away or make a new flow\.$"),
        ("dangling link", r"it is a link to '.*nowhere', and nothing is there. Mend or remove the link\.$"),
        ("link to itself", r"it is a link that leads back to itself. Mend or remove it\.$"),
        ("below a file", r"Not a directory\.$"),
        ("huge", r"it has 1073741825 bytes, and an image should have at most 1073741824. Move it away or"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path, kind: str, message: str) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    good.write_bytes(b"pixels")
    if kind == "folder":
        bad.mkdir()
    elif kind == "dangling link":
        bad.symlink_to(tmp_path / "nowhere")
    elif kind == "link to itself":
        bad.symlink_to(bad)
    elif kind == "below a file":
        bad = good / "below a file.png"
    elif kind == "huge":
        bad.touch()
        os.truncate(bad, (1 << 30) + 1)  # holds no data
    with pytest.raises(ImageError, match=f"cannot be read: {message}") as caught:
        read(good, bad, good)
    assert caught.value.path == str(bad)
    assert str(bad) in str(caught.value)
    assert caught.value.index == 1


def test_reading_many_files_leaves_none_open(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"pixels")
    folder = tmp_path / "folder.png"
    folder.mkdir()
    before = sorted(os.listdir("/dev/fd"))
    for _ in range(20):
        read(*[path] * 10)
        with pytest.raises(ImageError):
            read(path, tmp_path / "missing.png")
        with pytest.raises(ImageError):
            read(folder)
    assert sorted(os.listdir("/dev/fd")) == before


@pytest.mark.timeout(60)
@pytest.mark.parametrize("writer", [False, True])
def test_a_pipe_among_the_images_does_not_block(tmp_path: Path, writer: bool) -> None:
    """Whether or not somebody holds its other end; it is no image, and its error names it."""
    from penstock.image._decode import Loading, decode_all

    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDWR | os.O_NONBLOCK) if writer else None
    try:
        with pytest.raises(ImageError) as caught:
            decode_all(FileSource((str(pipe),)).read(np.arange(1)), [str(pipe)], Loading((8, 8)))
    finally:
        if end is not None:
            os.close(end)
    assert caught.value.path == str(pipe)
