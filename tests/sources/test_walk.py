"""Which files a check of a folder looks at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from penstock.sources._files import image_extension, list_class_folders
from penstock.sources._walk import list_files

posix = pytest.mark.skipif(os.name != "posix", reason="links as POSIX has them")


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names_below(folder: Path) -> list[str]:
    return [os.path.relpath(path, folder) for path in list_files(folder).paths]


def test_files_of_flat_folders_and_of_class_folders_are_found_at_any_depth(tmp_path: Path) -> None:
    write(tmp_path, "b.jpg", "a.txt", "dogs/1.png", "cats/old/2.png", "cats/10.png", "cats/9.png")
    assert names_below(tmp_path) == ["a.txt", "b.jpg", "cats/10.png", "cats/9.png", "cats/old/2.png", "dogs/1.png"]


def test_all_that_flows_read_is_found(tmp_path: Path) -> None:
    write(tmp_path, ".hidden/1.png", "cats/.ipynb_checkpoints/2.png", "cats/._3.png", "cats/4.PNG", "dogs/5.txt")
    flow = list_class_folders(tmp_path)
    assert flow.filenames == ("cats/._3.png", "cats/4.PNG", "cats/.ipynb_checkpoints/2.png")
    assert set(names_below(tmp_path)) == {*flow.filenames, "dogs/5.txt"}


@posix
def test_links_are_followed_and_do_not_loop(tmp_path: Path) -> None:
    write(tmp_path, "photos/cats/1.png", "elsewhere/2.png")
    (tmp_path / "photos" / "dogs").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "cats" / "again").symlink_to("..")
    (tmp_path / "photos" / "cats" / "itself").symlink_to("itself")
    (tmp_path / "photos" / "cats" / "nothing.png").symlink_to("missing.png")
    found = names_below(tmp_path / "photos")
    assert found == ["cats/1.png", "cats/itself", "cats/nothing.png", "dogs/2.png"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list_files(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "extension"), [("a.jpg", "jpg"), ("A.JPEG", "jpeg"), ("a.tif", "tif"), ("a.jpg.txt", None), ("a", None)]
)
def test_the_name_says_whether_flows_read_a_file(name: str, extension: str | None) -> None:
    assert image_extension(name) == extension
