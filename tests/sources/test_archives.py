"""Archives as others make them."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from penstock import ImageError
from penstock.sources._archives import ArchiveSource, Contents, list_archive
from penstock.sources._parts import LocalParts


def tar_of(path: Path, *entries: tuple[str, bytes] | tuple[str, bytes, str]) -> Path:
    """Files by name and content, and links by name, kind and target."""
    with tarfile.open(path, "w") as archive:
        for name, content, *target in entries:
            entry = tarfile.TarInfo(name)
            if target:
                entry.type, entry.linkname = content, target[0]
                archive.addfile(entry)
            else:
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return path


def zip_of(path: Path, *entries: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def read(path: Path, contents: Contents) -> dict[str, bytes]:
    names = list(contents.members)
    source = ArchiveSource.of(LocalParts.of([str(path)]), names, list(contents.members.values()))
    blobs = source.read(np.arange(len(names))[::-1])
    return dict(zip(names, [bytes(blob) for blob in blobs][::-1], strict=True))


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_no_name_leads_out(tmp_path: Path, kind: str) -> None:
    entries = [
        ("../out.jpg", b"1"),
        ("a/../../out.jpg", b"2"),
        ("/etc/in.jpg", b"3"),
        ("./a//b.jpg", b"4"),
        ("..", b""),
    ]
    path = (zip_of if kind == "zip" else tar_of)(tmp_path / "a", *entries)
    assert read(path, list_archive(LocalParts.of([str(path)]), kind)) == {"etc/in.jpg": b"3", "a/b.jpg": b"4"}


def test_the_last_of_two_members_of_a_name_counts(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", ("a.jpg", b"first"), ("b.jpg", b""), ("a.jpg", b"second"))
    assert read(path, list_archive(LocalParts.of([str(path)]), "tar")) == {"a.jpg": b"second", "b.jpg": b""}


def test_links_of_a_tar_lead_to_its_own_files(tmp_path: Path) -> None:
    path = tar_of(
        tmp_path / "a.tar",
        ("c/a.jpg", b"image"),
        ("d/hard.jpg", tarfile.LNKTYPE, "c/a.jpg"),
        ("d/soft.jpg", tarfile.SYMTYPE, "../c/a.jpg"),
        ("d/twice.jpg", tarfile.SYMTYPE, "soft.jpg"),
        ("d/out.jpg", tarfile.SYMTYPE, "/etc/passwd"),
        ("d/up.jpg", tarfile.SYMTYPE, "../../c/a.jpg"),
        ("d/round.jpg", tarfile.SYMTYPE, "round.jpg"),
        ("d/pipe.jpg", tarfile.FIFOTYPE, ""),
    )  # type: ignore[arg-type]
    found = read(path, list_archive(LocalParts.of([str(path)]), "tar"))
    assert found == dict.fromkeys(["c/a.jpg", "d/hard.jpg", "d/soft.jpg", "d/twice.jpg"], b"image")


def test_a_zip_behind_other_bytes_and_with_comments_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"#!/bin/sh\nexit\n" * 9)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive:
        archive.comment = b"another comment"
        for k in range(3):
            entry = zipfile.ZipInfo(f"c/{k}.jpg")
            entry.extra, entry.comment = b"\xfe\xca\4\0abcd", b"a comment"
            archive.writestr(entry, bytes([k]) * 1000)
    found = read(path, list_archive(LocalParts.of([str(path)]), "zip"))
    assert found == {f"c/{k}.jpg": bytes([k]) * 1000 for k in range(3)}


def test_encrypted_and_strangely_packed_members_are_errors_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jpg", b"image", zipfile.ZIP_LZMA)
        archive.writestr("b.jpg", b"image")
    archive = LocalParts.of([str(path)])
    members = list(list_archive(archive, "zip").members.values())
    strange, good = ArchiveSource.of(archive, ["a.jpg", "b.jpg"], members).attempt(np.arange(2))
    assert isinstance(strange, ImageError)
    assert strange.path == "a.jpg"
    assert "Make a zip that is stored or deflated" in str(strange)
    assert good == b"image"


def test_an_archive_that_is_cut_short_is_an_error_by_name(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", ("a.jpg", b"1" * 5000), ("b.jpg", b"2" * 5000))
    contents = list_archive(LocalParts.of([str(path)]), "tar")
    path.write_bytes(path.read_bytes()[:7000])
    source = ArchiveSource.of(LocalParts.of([str(path)]), ["a", "b"], list(contents.members.values()))
    whole, cut = source.attempt(np.arange(2))
    assert whole == b"1" * 5000
    assert isinstance(cut, ImageError)
    assert "'b' cannot be read: it ends 4144 bytes too soon" in str(cut)
