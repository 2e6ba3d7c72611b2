"""Sizes and times of many files at once, and sums of many pieces."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from penstock.sources import _stamps
from penstock.sources._checksums import checksums
from penstock.sources._stamps import FileNames


@pytest.mark.parametrize("by_python", [False, True])
def test_stamps_are_those_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_python: bool) -> None:
    if by_python:
        monkeypatch.setattr(_stamps, "_HAS_STATX", False)
    paths = [str(tmp_path / name) for name in ("a", "gone", "\N{CAT FACE}", "with space", "a\udcff")]
    for k, path in enumerate(paths):
        if k != 1:
            Path(path).write_bytes(bytes(5 + k))
            os.utime(path, ns=(0, [-(10**9) - 1, 0, 2**31 * 10**9 + 999_999_999, 7, 10**18][k]))
    with open(paths[0], "rb") as file:
        found, sizes = FileNames.of(paths).stamps(np.array([3, 0, 1, 2, 4, 3]), np.array([file.fileno()]))
    expected = [
        (-1, -1) if k == 1 else (os.stat(paths[k]).st_size, os.stat(paths[k]).st_mtime_ns) for k in (3, 0, 1, 2, 4, 3)
    ]
    assert found.tolist() == [list(pair) for pair in expected]
    assert sizes.tolist() == [5]


XXH64 = {  # of the bytes 0, 1, 2 ..., by the reference library
    0: 0xEF46DB3751D8E999,
    8: 0x884A173614B81B8D,
    24: 0xDD14A0292632BE9B,
    32: 0xCBF59C5116FF32B4,
    56: 0x0CD869F80FF2B918,
    96: 0x450BAA11F6739216,
}


def test_sums_are_those_of_the_reference_library() -> None:
    data = np.arange(96, dtype=np.uint8)
    sums = checksums(data, np.zeros(len(XXH64), np.int64), np.array(list(XXH64)))
    assert sums.view(np.uint64).tolist() == list(XXH64.values())


def test_sums_tell_every_changed_bit_and_swapped_words_apart() -> None:
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, 8 * 21, np.uint8)
    whole = np.array([len(data)])

    def sum_of(pieces: np.ndarray) -> int:
        return int(checksums(pieces, np.array([0]), whole)[0])

    sums = {sum_of(data)}
    for bit in range(8 * len(data)):
        changed = data.copy()
        changed[bit // 8] ^= 1 << bit % 8
        sums.add(sum_of(changed))
    for shift in range(1, 21):
        sums.add(sum_of(np.roll(data, 8 * shift)))
    assert len(sums) == 1 + 8 * len(data) + 20
    zeros = np.zeros(640, np.uint8)
    assert 0 not in checksums(zeros, np.zeros(10, np.int64), 64 * np.arange(1, 11))  # a hole in a file is no image
