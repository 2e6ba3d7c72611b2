"""Links that loop, names of any bytes, want of permission, and files that change under a flow."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from penstock import ImageDataGenerator, ImageError
from penstock.keras._flow import Flow
from penstock.sources._files import list_class_folders
from penstock.sources._walk import list_files

NOBODY = 65534
pytestmark = [pytest.mark.skipif(os.name != "posix", reason="links, pipes and permissions as POSIX has them")]
workers = pytest.mark.parametrize("workers", [0, 2])


def save(path: Path | str, size: tuple[int, int] = (12, 10)) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Image.new("RGB", size, (10, 200, 90)).save(path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("cats/0.png", "cats/1.jpg", "cats/2.bmp", "dogs/0.png", "dogs/1.png", "dogs/2.tif"):
        save(tmp_path / name)
    return tmp_path


def flow_of(photos: Path, workers: int, generator: ImageDataGenerator | None = None, **options: Any) -> Flow:
    defaults: dict[str, Any] = {"batch_size": 3, "shuffle": False, "max_queue_size": 1}
    return (generator or ImageDataGenerator()).flow_from_directory(
        photos, (8, 9), workers=workers, **{**defaults, **options}
    )


def check_error(flow: Flow, path: Path | str, message: str) -> None:
    """The flow's next batch fails at this file, and says so in words that any terminal can print."""
    for _ in range(2):  # each time anew
        with pytest.raises(ImageError, match=message) as caught:
            next(flow)
        assert caught.value.path == str(path)
        assert caught.value.index == flow.filepaths.index(str(path))
        str(caught.value).encode("ascii")


# --- links ----------------------------------------------------------------------------------------------------------


@workers
@pytest.mark.parametrize("follow_links", [False, True])
def test_links_that_loop_or_dangle_end_in_images_or_clear_words(photos: Path, workers: int, follow_links: bool) -> None:
    (photos / "loop").symlink_to("loop")  # at the level of the classes, where it is no folder
    (photos / "nowhere").symlink_to("missing")
    (photos / "cats" / "loop").symlink_to("loop")
    (photos / "cats" / "again").symlink_to(".")
    itself, dangling = photos / "cats" / "a.png", photos / "dogs" / "a.png"
    itself.symlink_to("a.png")
    dangling.symlink_to("missing.png")
    with flow_of(photos, workers, follow_links=follow_links, batch_size=8) as flow:
        assert flow.class_indices == {"cats": 0, "dogs": 1}
        assert flow.samples == 8
        check_error(flow, itself, "it is a link that leads back to itself. Mend or remove it")
        itself.unlink()
        save(itself)
        check_error(flow, dangling, r"it is a link to 'missing.png', and nothing is there. Mend or remove the link")
        save(photos / "dogs" / "missing.png")
        assert next(flow)[0].shape == (8, 8, 9, 3)


# --- names ----------------------------------------------------------------------------------------------------------


@workers
@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_not_utf8_are_read_like_any_other(
    photos: Path, workers: int, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, name = os.fsdecode(b"caf\xe9"), os.fsdecode(b"\xff\xfe.png")
    for path in (f"{photos}/{folder}/{name}", f"{photos}/{folder}/\n.png", f"{photos}/{folder}/\u202e.png"):
        save(path)
    with flow_of(photos, workers, batch_size=9, class_mode=None) as flow:
        assert flow.class_indices == {folder: 0, "cats": 1, "dogs": 2}
        assert os.fsencode(flow.filepaths[flow.filenames.index(f"{folder}/{name}")]).endswith(b"caf\xe9/\xff\xfe.png")
        assert next(flow).shape == (9, 8, 9, 3)
        state = flow.state_dict()
        flow.load_state_dict(state)
        path = f"{photos}/{folder}/{name}"
        os.unlink(path)
        check_error(flow, path, r"udcff\\udcfe\.png' cannot be read: No such file")
        Path(path).write_bytes(b"no image")
        check_error(flow, path, r"udcff\\udcfe\.png' cannot be read as an image")
    with flow_of(photos, workers, batch_size=9, class_mode=None) as flow:
        flow.load_state_dict(state)
    capsys.readouterr().out.encode("ascii")


def test_a_folder_that_is_missing_is_named_whatever_its_bytes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"udcff' does not exist") as caught:
        list_class_folders(tmp_path / os.fsdecode(b"\xff"))
    str(caught.value).encode("ascii")


# --- permission -----------------------------------------------------------------------------------------------------


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder of photographs, and no right to read what its owner keeps back: root has to be somebody else."""
    root = Path(tempfile.mkdtemp())  # pytest's own folder is the user's alone
    root.chmod(0o755)
    for name in ("cats/0.png", "cats/below/1.png", "dogs/0.png"):
        save(root / "photos" / name)
    with flow_of(root / "photos", 0) as flow:  # compile and import all that it takes while one may
        next(flow)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(NOBODY)
            if not os.access(root, os.R_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
                pytest.skip("the folder for temporary files is root's alone")
        yield root / "photos"
    finally:
        if user == 0:
            os.seteuid(user)
        for folder, _, _ in os.walk(root):
            os.chmod(folder, 0o755)
        shutil.rmtree(root)


def withhold(path: Path, mode: int = 0) -> None:
    """Take the permission away, with the owner's right."""
    user, owner = os.geteuid(), path.stat().st_uid
    os.seteuid(owner)
    path.chmod(mode)
    os.seteuid(user)


@pytest.mark.parametrize("name", ["cats", "cats/below", "."])
def test_a_folder_that_must_not_be_listed_is_an_error_not_fewer_images(unprivileged: Path, name: str) -> None:
    withhold(unprivileged / name)
    with pytest.raises(PermissionError, match=r"this folder cannot be listed.*Make it readable.*or move it") as caught:
        list_class_folders(unprivileged)
    assert os.path.samefile(os.path.dirname(caught.value.filename), (unprivileged / name).resolve().parent)
    assert caught.value.filename.endswith(name.removeprefix("."))
    if name != ".":
        with pytest.raises(PermissionError):
            list_class_folders(unprivileged, classes=["dogs", "cats", "no folder of this name"])


def test_a_list_of_all_files_names_the_folders_that_it_misses(unprivileged: Path) -> None:
    withhold(unprivileged / "cats" / "below")
    listed = list_files(unprivileged)
    assert listed.paths == tuple(str(unprivileged / name) for name in ("cats/0.png", "dogs/0.png"))
    assert [error.filename for error in listed.unlisted] == [str(unprivileged / "cats" / "below")]
    withhold(unprivileged, 0o444)
    listed = list_files(unprivileged)
    assert listed.paths == ()
    assert [error.filename for error in listed.unlisted] == [str(unprivileged / name) for name in ("cats", "dogs")]
    withhold(unprivileged)
    with pytest.raises(PermissionError):
        list_files(unprivileged)


def test_a_folder_whose_insides_must_not_be_looked_at_is_named(unprivileged: Path) -> None:
    withhold(unprivileged, 0o444)
    with pytest.raises(PermissionError, match="cannot be listed") as caught:
        list_class_folders(unprivileged)
    assert caught.value.filename.startswith(str(unprivileged))


@workers
def test_a_file_without_permission_is_an_error_that_names_it(unprivileged: Path, workers: int) -> None:
    withhold(unprivileged / "dogs" / "0.png")
    with flow_of(unprivileged, workers) as flow:
        check_error(flow, unprivileged / "dogs" / "0.png", "Permission denied. Make it readable for this user")
        withhold(unprivileged / "dogs" / "0.png", 0o644)
        assert next(flow)[0].shape == (3, 8, 9, 3)


# --- files that change ----------------------------------------------------------------------------------------------


def vanish(path: Path) -> None:
    path.unlink()


def shrink(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def become_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def become_endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def become_text(path: Path) -> None:
    path.write_text("no image " * 50_000)


CHANGES = {
    vanish: "No such file or directory. Put it there, or make a new flow",
    shrink: "cannot be read as an image",
    empty: r"cannot be read as an image \(0 bytes\)",
    become_folder: "it is a folder, not a file",
    become_pipe: "it is a pipe, not a file",
    become_endless: "it is a device, not a file",
    become_text: r"cannot be read as an image \(450000 bytes\): UnidentifiedImageError: cannot identify image file\.",
}


@workers
@pytest.mark.timeout(60)
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_file_that_changes_is_named_and_the_flow_goes_on_when_it_is_back(
    photos: Path, workers: int, change: Any
) -> None:
    path = photos / "dogs" / "1.png"
    with flow_of(photos, workers) as flow:
        next(flow)
        change(path)
        flow.load_state_dict(flow.state_dict())  # nothing of before is kept
        check_error(flow, path, CHANGES[change])
        step = flow.total_batches_seen
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        save(path)
        images, labels = next(flow)
        assert images.shape == (3, 8, 9, 3)
        assert labels[:, 1].tolist() == [1, 1, 1]
        assert flow.total_batches_seen == step + 1
        next(flow)


@workers
def test_a_file_that_is_replaced_or_grows_is_read_as_it_is_then(photos: Path, workers: int) -> None:
    path = photos / "dogs" / "1.png"
    with flow_of(photos, workers) as flow:
        next(flow)
        save(path, (400, 700))
        flow.load_state_dict(flow.state_dict())
        assert next(flow)[0].shape == (3, 8, 9, 3)
        with path.open("ab") as file:
            file.write(bytes(1_000_000))
        next(flow)
        flow.load_state_dict(flow.state_dict())
        assert next(flow)[0].shape == (3, 8, 9, 3)


@workers
@pytest.mark.timeout(60)
def test_a_pipe_that_comes_first_does_not_hold_up_a_grayscale_flow(tmp_path: Path, workers: int) -> None:
    """The first file says how bright the others may be."""
    save(tmp_path / "a" / "1.png")
    os.mkfifo(tmp_path / "a" / "0.png")
    generator = ImageDataGenerator(brightness_range=(0.5, 1.5))
    with flow_of(tmp_path, workers, generator, color_mode="grayscale") as flow:
        check_error(flow, tmp_path / "a" / "0.png", "it is a pipe, not a file")


@workers
def test_what_pillow_warns_of_is_an_error_that_names_the_file_where_warnings_are_errors(
    photos: Path, workers: int
) -> None:
    """And no more than a warning where they are not."""
    path = photos / "cats" / "1.jpg"
    picture = Image.new("P", (9, 9))
    picture.putpalette(bytes(range(256)) * 3)
    picture.save(path, "PNG", transparency=bytes(range(9)))
    with flow_of(photos, workers) as flow:
        check_error(flow, path, "UserWarning: Palette images with Transparency")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert next(flow)[0].shape == (3, 8, 9, 3)
