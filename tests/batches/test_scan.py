"""What a check says of each file, and how it goes through many."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from penstock._errors import ImageError
from penstock.batches._check import CheckedFile, Finding, Problem
from penstock.batches._scan import PixelBudget, scan_files
from penstock.image._decode import Loading, decode_all

# Pillow warns of metadata that it cannot read, and of large images.
pytestmark = pytest.mark.filterwarnings("ignore")
posix = pytest.mark.skipif(os.name != "posix", reason="links and pipes as POSIX has them")


def photograph(path: Path, size: tuple[int, int] = (40, 30)) -> bytes:
    """Save some noise; returns the bytes of the file."""
    pixels = np.random.default_rng(list(size)).integers(0, 256, (*size[::-1], 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path.read_bytes()


def check(path: Path, max_pixels: int = 10_000) -> list[tuple[Problem, str]]:
    (checked,) = scan_files([str(path)], workers=1, max_pixels=max_pixels)
    assert all(finding.path == str(path) for finding in checked.findings)
    return [(finding.problem, finding.detail) for finding in checked.findings]


def problems(path: Path) -> list[Problem]:
    return [problem for problem, _ in check(path)]


# --- one file ---


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.png", "a.bmp", "a.ppm", "a.tif", "a.tiff"])
def test_whole_files_have_no_problem(tmp_path: Path, name: str) -> None:
    size = len(photograph(tmp_path / name))
    (checked,) = scan_files([str(tmp_path / name)], workers=1)
    assert checked == CheckedFile(str(tmp_path / name), True, size, ())


def test_a_file_of_no_bytes_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    assert check(tmp_path / "a.jpg") == [(Problem.EMPTY, "it has no bytes")]


def test_a_file_that_is_no_image_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"this is no image")
    assert check(tmp_path / "a.jpg") == [(Problem.UNREADABLE, "cannot identify image file")]


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.bmp", "a.ppm"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_file_that_ends_early_is_truncated(tmp_path: Path, name: str, share: float) -> None:
    blob = photograph(tmp_path / name)
    (tmp_path / name).write_bytes(blob[: int(share * len(blob))])
    assert problems(tmp_path / name) == [Problem.TRUNCATED]


def test_a_jpeg_of_which_a_part_is_lost_is_damaged(tmp_path: Path) -> None:
    blob = photograph(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes(blob[: len(blob) * 3 // 4] + b"\xff\xd9")
    assert check(tmp_path / "a.jpg") == [
        (Problem.DAMAGED, "Corrupt JPEG data: premature end of data segment"),
    ]


@pytest.mark.parametrize(("kind", "name"), [("PNG", "PNG"), ("GIF", "GIF"), ("WEBP", "WebP"), ("BMP", "BMP")])
def test_another_format_than_the_name_says_is_mislabelled(tmp_path: Path, kind: str, name: str) -> None:
    Image.new("RGB", (9, 8)).save(tmp_path / "a.jpg", kind)
    assert check(tmp_path / "a.jpg") == [(Problem.MISLABELLED, f"the name says JPEG, and it holds {name}")]


def test_an_error_page_in_place_of_an_image_is_unreadable_and_mislabelled(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("<!DOCTYPE html><title>404 Not Found</title>")
    assert check(tmp_path / "a.png") == [
        (Problem.UNREADABLE, "it is an HTML page, no image"),
        (Problem.MISLABELLED, "the name says PNG, and it holds an HTML page"),
    ]


def test_one_file_may_have_several_problems(tmp_path: Path) -> None:
    blob = photograph(tmp_path / "a.png", (200, 200))
    (tmp_path / "a.jpg").write_bytes(blob[:-5000])
    assert problems(tmp_path / "a.jpg") == [Problem.TRUNCATED, Problem.MISLABELLED, Problem.LARGE]


def test_many_pixels_are_large_and_so_are_many_bytes(tmp_path: Path) -> None:
    Image.new("RGB", (100, 100)).save(tmp_path / "just.png")
    Image.new("RGB", (100, 101)).save(tmp_path / "more.png")
    (tmp_path / "film.jpg").write_bytes(photograph(tmp_path / "a.jpg") + bytes(30_000))
    assert check(tmp_path / "just.png") == []
    assert check(tmp_path / "more.png") == [(Problem.LARGE, "it declares 0.0 megapixels")]
    assert problems(tmp_path / "film.jpg") == [Problem.LARGE]


def test_what_the_decoder_refuses_for_its_size_is_unreadable_and_large(tmp_path: Path) -> None:
    (tmp_path / "a.ppm").write_bytes(b"P6\n60000 60000\n255\n" + bytes(99))
    (unreadable, words), (large, size) = check(tmp_path / "a.ppm")
    assert (unreadable, large) == (Problem.UNREADABLE, Problem.LARGE)
    assert "exceeds limit" in words
    assert size == "it declares 3,600.0 megapixels"


@pytest.mark.parametrize(
    ("name", "kind", "detail"),
    [
        ("a.webp", "WEBP", "it holds WebP; flows do not read that: convert it"),
        ("a.gif", "GIF", "it holds GIF; flows do not read that: convert it"),
        ("a.jpe", "JPEG", "it holds JPEG; rename it to end in .jpg"),
        ("a", "PNG", "it holds PNG; rename it to end in .png"),
    ],
)
def test_images_that_flows_leave_out_are_named(tmp_path: Path, name: str, kind: str, detail: str) -> None:
    Image.new("RGB", (9, 8)).save(tmp_path / name, kind)
    (checked,) = scan_files([str(tmp_path / name)], workers=1)
    assert checked == CheckedFile(
        str(tmp_path / name), False, 0, (Finding(str(tmp_path / name), Problem.IGNORED, detail),)
    )


def test_files_that_nobody_takes_for_images_are_no_problem(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,label\n")
    (tmp_path / "empty").touch()
    for path in (tmp_path / "labels.csv", tmp_path / "empty", tmp_path / "missing", tmp_path):
        assert check(path) == []


@posix
def test_what_cannot_be_read_is_unreadable_and_holds_nothing_up(tmp_path: Path) -> None:
    (tmp_path / "link.jpg").symlink_to("missing.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    os.mkfifo(tmp_path / "pipe")
    assert check(tmp_path / "link.jpg") == [
        (Problem.UNREADABLE, "it is a link to 'missing.jpg', and nothing is there"),
    ]
    assert check(tmp_path / "loop.jpg") == [(Problem.UNREADABLE, "it is a link that leads back to itself")]
    assert check(tmp_path / "pipe.jpg") == [(Problem.UNREADABLE, "it is a pipe, not a file")]
    assert check(tmp_path / "pipe") == []


@pytest.mark.parametrize("color_mode", ["rgb", "rgba", "grayscale"])
def test_what_fails_here_fails_in_training_and_what_passes_passes(tmp_path: Path, color_mode: str) -> None:
    for extension in ("jpg", "png", "bmp", "ppm"):
        blob = photograph(tmp_path / f"a.{extension}")
        random = np.random.default_rng(len(blob))
        for k in range(40):
            damaged = bytearray(blob[: random.integers(len(blob) // 2, 2 * len(blob))])
            for at in random.integers(0, len(damaged), k % 4):
                damaged[at] = random.integers(256)
            path = tmp_path / f"damaged.{extension}"
            path.write_bytes(damaged)
            fails = {Problem.EMPTY, Problem.UNREADABLE, Problem.TRUNCATED} & set(problems(path))
            try:
                decode_all([bytes(damaged)], [str(path)], Loading((24, 20), color_mode))
            except ImageError:
                assert fails
            else:
                assert not fails


# --- many files ---


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_many_files_come_in_their_order_at_any_number_of_threads(tmp_path: Path, workers: int) -> None:
    paths = [str(tmp_path / f"{k}.png") for k in range(700)]
    for k, path in enumerate(paths):
        if k % 7:
            os.symlink("0.png", path)
        elif k:
            Path(path).touch()
    photograph(tmp_path / "0.png", (300, 300))
    found = list(scan_files(paths, workers=workers))
    assert [file.path for file in found] == paths
    assert [k for k, file in enumerate(found) if file.findings] == list(range(7, 700, 7))


def test_no_more_is_read_than_was_asked_for(tmp_path: Path) -> None:
    """A hundred thousand files are not all waiting at once, and nothing goes on after an early end."""
    asked: list[int] = []

    class Paths(list[str]):
        def __iter__(self):
            for k, path in enumerate(super().__iter__()):
                asked.append(k)
                yield path

    scan = scan_files(Paths([str(tmp_path / "missing.jpg")] * 100_000), workers=2)
    for _ in range(10):
        next(scan)
    scan.close()
    assert len(asked) < 300
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("penstock-check")]


@pytest.mark.parametrize("name", ["workers", "max_pixels"])
def test_numbers_below_one_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^`{name}` should be 1 or more\. Received: 0$"):
        scan_files([], **{"workers": 1, name: 0})


def test_only_so_many_pixels_are_decoded_at_a_time() -> None:
    budget, two_at_a_time = PixelBudget(100), threading.Barrier(2, timeout=30)
    lock, held, most = threading.Lock(), 0, 0

    def decode(_: int) -> None:
        nonlocal held, most
        with budget.hold(40):
            with lock:
                held += 40
                most = max(most, held)
            two_at_a_time.wait()  # never passed by one alone
            with lock:
                held -= 40

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decode, range(8)))
    assert most == 80
    with budget.hold(1_000):  # more than there is: alone
        pass
