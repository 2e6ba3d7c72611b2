"""Class folders of links, for a flat folder."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from command_line import files_below
from penstock.cli._endings import CommandError
from penstock.cli._split_flat import split_flat
from penstock.sources._files import list_class_folders

NAMES = ("cat.0.jpg", "cat.8000.jpg", "cat.18.jpg", "dog.8.png", "dog.79.JPG", "dog.80.jpg", "grey.cat.1.jpg")


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    folder = tmp_path / "pets"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_bytes(name.encode())
    return folder


def test_numbers_that_begin_with_8_validate_and_nothing_is_moved(flat: Path) -> None:
    before = files_below(flat)
    split = split_flat(flat)
    assert files_below(flat) == before
    classes = flat.parent / "pets-classes"
    assert (split.training, split.validation) == (classes / "training", classes / "validation")
    assert sorted(files_below(classes)) == [
        "training/cat/cat.0.jpg",
        "training/cat/cat.18.jpg",
        "training/dog/dog.79.JPG",
        "training/grey.cat/grey.cat.1.jpg",
        "validation/cat/cat.8000.jpg",
        "validation/dog/dog.8.png",
        "validation/dog/dog.80.jpg",
    ]
    assert all(path.is_symlink() for path in classes.glob("*/*/*"))
    assert all(path.read_bytes() == path.name.encode() for path in classes.glob("*/*/*"))
    assert split.classes == ("cat", "dog", "grey.cat")
    assert (split.training_files, split.validation_files, split.left_out) == (4, 3, ())
    assert len(list_class_folders(split.training).filenames) == 4


def test_again_over_a_split_it_is_brought_up_to_date(flat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split_flat(flat)
    (flat / "cat.0.jpg").unlink()
    (flat / "cat.1.jpg").write_bytes(b"new")
    (flat.parent / "pets-classes" / "training" / "cat" / "mine.jpg").write_bytes(b"mine")
    elsewhere = flat.parent / "pets-classes" / "training" / "cat" / "elsewhere.jpg"
    elsewhere.symlink_to("/nowhere/elsewhere.jpg")
    monkeypatch.chdir(flat.parent)
    split = split_flat(Path("pets"))
    names = {path.name for path in (split.training.resolve() / "cat").iterdir()}
    assert names == {"cat.1.jpg", "cat.18.jpg", "mine.jpg", "elsewhere.jpg"}


def test_names_that_do_not_fit_are_left_out_and_told(flat: Path) -> None:
    for name in ("cat.jpg", "cat.x.jpg", ".8.jpg", "cat.5.txt", "9.jpg"):
        (flat / name).write_bytes(b"")
    (flat / "dog.5.jpg").mkdir()
    assert split_flat(flat).left_out == (".8.jpg", "9.jpg", "cat.jpg", "cat.x.jpg")
    empty = flat.parent / "other"
    empty.mkdir()
    (empty / "cat.jpg").write_bytes(b"")
    with pytest.raises(CommandError, match=r"should be for images named class\.number\.ext.*holds none"):
        split_flat(empty)
    assert not (flat.parent / "other-classes").exists()


def test_classes_that_are_one_on_some_systems_are_refused(flat: Path) -> None:
    (flat / "Cat.5.jpg").write_bytes(b"")
    with pytest.raises(CommandError, match="Found 'Cat' and 'cat': rename the files of one"):
        split_flat(flat)
    assert not (flat.parent / "pets-classes").exists()


def test_what_is_in_the_way_stays_and_nothing_is_linked(flat: Path) -> None:
    theirs = flat.parent / "pets-classes" / "training" / "cat" / "cat.0.jpg"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"theirs")
    with pytest.raises(CommandError, match=r"cat\.0\.jpg is in the way: it is no link to .*Move it away"):
        split_flat(flat)
    assert files_below(flat.parent / "pets-classes") == {"training/cat/cat.0.jpg": b"theirs"}


def test_where_links_by_name_are_not_allowed_files_are_linked_themselves(
    flat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: Path, target: Path) -> None:
        raise OSError("a privilege is not held")

    monkeypatch.setattr(Path, "symlink_to", refused)
    for _ in range(2):
        split = split_flat(flat)
        link = split.training / "cat" / "cat.0.jpg"
        assert not link.is_symlink()
        assert os.path.samefile(link, flat / "cat.0.jpg")


def test_where_there_are_no_links_it_says_what_to_do(flat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: Any) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), *map(str, args))

    monkeypatch.setattr(Path, "symlink_to", refused)
    monkeypatch.setattr(os, "link", refused)
    with pytest.raises(CommandError, match=r"pets-classes.*takes none \(Operation not permitted\)\. Copy the"):
        split_flat(flat)
