"""Where files lie in archives: what Python's own `tarfile` finds."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from braceexpand import braceexpand
from hypothesis import given, strategies as st

from penstock.sources._pieces import read_piece, read_pieces
from penstock.sources._shard_paths import expand_braces, find_shards
from penstock.sources._stamps import FileNames
from penstock.sources._tar import Entry, entries
from strategies import examples

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def archive(files: list[tuple[str, bytes]], kind: str = "ustar", **options: Any) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=FORMATS[kind], **options) as made:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), 1.5 if kind == "pax" else 1
            made.addfile(member, io.BytesIO(data))
    return out.getvalue()


def found(data: bytes) -> list[Entry]:
    return list(entries(io.BytesIO(data), "a.tar"))


def simply(listed: list[Entry]) -> list[tuple[str, str, int, int, str]]:
    """Without what its header says about time, and without the slash at a folder's end."""
    return [(each.name.rstrip("/"), each.kind, each.offset, each.size, each.target) for each in listed]


def tarfiles(data: bytes) -> list[tuple[str, str, int, int, str]]:
    listed = []
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as opened:
        for each in opened:
            kind = "link" if each.issym() else "same" if each.islnk() else "folder" if each.isdir() else "file"
            if each.isreg() or kind != "file":
                size = each.size if kind == "file" else 0
                listed.append((each.name, kind, each.offset_data, size, each.linkname))
    return listed


names = st.text(st.characters(exclude_characters="\0/", codec="utf-8"), min_size=1, max_size=120).filter(
    lambda name: name.strip(" .") == name
)


@given(st.lists(st.tuples(st.lists(names, min_size=1, max_size=4), st.binary(max_size=1200)), max_size=6), st.data())
@examples(30)
def test_members_are_those_that_tarfile_finds(files: list[tuple[list[str], bytes]], data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["gnu", "pax"]))
    made = archive([("/".join(parts), content) for parts, content in files], kind)
    assert simply(found(made)) == tarfiles(made)
    for member, (_, content) in zip(found(made), files, strict=True):
        assert made[member.offset : member.offset + member.size] == content


@pytest.mark.parametrize("kind", FORMATS)
def test_long_names_folders_and_links_are_understood(kind: str) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=FORMATS[kind]) as made:
        for name, type_ in (
            ("folder", tarfile.DIRTYPE),
            ("folder/a.jpg", tarfile.REGTYPE),
            ("folder/link.jpg", tarfile.SYMTYPE),
            ("folder/same.jpg", tarfile.LNKTYPE),
            ("pipe", tarfile.FIFOTYPE),
            ("d" * 90 + "/" + "n" * 90 + ".jpg", tarfile.REGTYPE),
            ("old.jpg", tarfile.AREGTYPE),
            ("old folder/", tarfile.AREGTYPE),
        ):
            member = tarfile.TarInfo(name)
            target = {
                tarfile.SYMTYPE: "d" * (90 if kind == "ustar" else 190) + "/a.jpg",
                tarfile.LNKTYPE: "folder/a.jpg",
            }
            member.type, member.linkname = type_, target.get(type_, "")
            member.size = 700 if type_ in (tarfile.REGTYPE, tarfile.AREGTYPE) and name[-1] != "/" else 0
            made.addfile(member, io.BytesIO(bytes(700)) if member.size else None)
    assert simply(found(out.getvalue())) == tarfiles(out.getvalue())
    kinds = [each.kind for each in found(out.getvalue())]
    assert kinds == ["folder", "file", "link", "same", "file", "file", "folder"]


@pytest.mark.skipif(shutil.which("tar") is None, reason="no tar")
@pytest.mark.parametrize("kind", ["gnu", "oldgnu", "pax", "ustar", "v7"])
def test_what_tar_itself_writes_is_understood(tmp_path: Path, kind: str) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        (tmp_path / "in" / f"{number}.jpg").write_bytes(os.urandom(600 * number))
    os.link(tmp_path / "in" / "1.jpg", tmp_path / "in" / "again.jpg")
    subprocess.run(["tar", f"--format={kind}", "-cf", "out.tar", "in"], cwd=tmp_path, check=True)
    data = (tmp_path / "out.tar").read_bytes()
    assert simply(found(data)) == tarfiles(data)
    files = [each for each in found(data) if each.kind == "file"]
    assert len(files) == 3
    for member in files:
        assert data[member.offset : member.offset + member.size] == (tmp_path / member.name).read_bytes()


def test_a_member_larger_than_8_gib_is_understood() -> None:
    member = tarfile.TarInfo("large.jpg")
    member.size = 9 << 30
    with pytest.raises(ValueError, match=r"'large.jpg' has 9663676416 bytes, and 0 are there"):
        found(member.tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(ValueError, match=r"'large.jpg' has 9663676416 bytes, and 0 are there"):
        found(member.tobuf(tarfile.PAX_FORMAT))


def resized(size: bytes) -> bytes:
    """A header that is right but for its size, which would lead backwards."""
    header = bytearray(archive([("a.jpg", b"")])[:512])
    header[124 : 124 + len(size)] = size
    header[148:156] = b"%06o\0 " % (256 + sum(header[:148]) + sum(header[156:]))
    return bytes(header)


def test_what_is_no_archive_is_told() -> None:
    whole = archive([("a.jpg", bytes(900)), ("b.jpg", bytes(900))])
    sparse = tarfile.TarInfo("hole.jpg")
    sparse.type = tarfile.GNUTYPE_SPARSE
    for data, message in [
        (b"", "'a.tar' is empty"),
        (b"no archive" * 100, "'a.tar' is no tar archive"),
        (gzip.compress(whole), "'a.tar' is compressed by gzip.*decompress it once, as with `gunzip`"),
        (whole[:1000], "'a.tar' is cut short: 'a.jpg' has 900 bytes, and 488 are there"),
        (whole[:1600], "'a.tar' is damaged or cut short at byte 1536"),
        (whole[:1700] + b"x" + whole[1701:], "'a.tar' is damaged or cut short at byte 1536"),
        (resized(b"-0000001000\0"), "'a.tar' is no tar archive"),
        (archive([("a.jpg", b"")], "pax", pax_headers={"size": "-1024"}), "'a.tar' is no tar archive"),
        (sparse.tobuf(tarfile.GNU_FORMAT), "'a.tar' holds a sparse file"),
        (archive([("a.jpg", b"")], "pax", pax_headers={"path": "b.jpg"}), "one name for several"),
    ]:
        with pytest.raises(ValueError, match=message):
            found(data)
    header = bytearray(archive([("a.jpg", b"")])[:512])
    header[156:157], header[124:136] = tarfile.LNKTYPE, b"00000001234\0"  # the size of what it leads to
    header[148:156] = b"%06o\0 " % (256 + sum(header[:148]) + sum(header[156:]))
    assert [each.kind for each in found(bytes(header) + whole)] == ["same", "file", "file"]
    assert len(found(whole[:3072])) == 2, "without the blocks that close it"


@given(st.data())
@examples(100)
def test_damage_is_an_error_or_harmless_and_never_a_hang(data: st.DataObject) -> None:
    whole = archive(
        [("a" * 150 + ".jpg", bytes(900)), ("ä.jpg", bytes(10))], data.draw(st.sampled_from(["gnu", "pax"]))
    )
    broken = bytearray(whole[: data.draw(st.integers(1, len(whole)))])
    for _ in range(data.draw(st.integers(0, 3))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ValueError):
        for member in found(bytes(broken)):
            assert 0 <= member.offset <= member.offset + member.size <= len(broken)


def test_pieces_are_read_in_one_call(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(name.encode() * 5 + b"0123456789")
    paths = [str(tmp_path / "a"), str(tmp_path / "gone"), str(tmp_path / "b")]
    files, offsets, sizes = np.array([2, 0, 1, 0, 2]), np.array([5, 8, 0, 0, 10]), np.array([3, 7, 4, 0, 6])
    pieces = read_pieces(FileNames.of(paths), files, offsets, sizes)
    assert [piece if piece is None else bytes(piece) for piece in pieces] == [b"012", b"3456789", None, b"", None]
    assert read_piece(paths[0], 8, 7) == b"3456789"
    with pytest.raises(OSError, match="it ends 1 bytes too soon"):
        read_piece(paths[2], 10, 6)


@given(st.lists(st.sampled_from(["a", "{0..3}", "{08..10}", "{3..1}", "{x,y}", "{}", "{z}", "-", "/"]), max_size=4))
@examples(100)
def test_braces_are_those_of_shells(parts: list[str]) -> None:
    assert list(expand_braces("".join(parts))) == list(braceexpand("".join(parts)))


def test_shards_are_found(tmp_path: Path) -> None:
    for name in ("t-2.tar", "t-0.tar", "t-1.tar", "v-0.tar", "notes.txt", "odd{1}.tar"):
        (tmp_path / name).touch()

    def names(shards: Any) -> list[str]:
        return [os.path.basename(path) for path in find_shards(shards).names]

    assert names(str(tmp_path / "t-{2..0}.tar")) == ["t-2.tar", "t-1.tar", "t-0.tar"]
    assert names(tmp_path / "t-*.tar") == ["t-0.tar", "t-1.tar", "t-2.tar"]
    assert names(tmp_path) == ["odd{1}.tar", "t-0.tar", "t-1.tar", "t-2.tar", "v-0.tar"]
    assert names([tmp_path / "v-0.tar", str(tmp_path / "t-{0,1}.tar")]) == ["v-0.tar", "t-0.tar", "t-1.tar"]
    assert names(tmp_path / "odd{1}.tar") == ["odd{1}.tar"]
    for shards, error, message in [
        (tmp_path / "t-{0..3}.tar", ValueError, r"There is no file '.*t-3\.tar'"),
        (tmp_path / "x-*.tar", ValueError, "archives that are there"),
        ([tmp_path / "v-0.tar", tmp_path / "v-*.tar"], ValueError, "each archive once"),
        ([], ValueError, "at least one archive"),
        (3, TypeError, "should be a path"),
        ([3], TypeError, "should be paths"),
    ]:
        with pytest.raises(error, match=message):
            find_shards(shards)
