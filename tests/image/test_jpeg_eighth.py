"""JPEGs at an eighth: libjpeg's pixels, and nothing at all for what is the least bit unusual."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, strategies as st
from PIL import Image

from eighths import decoded, eighth
from fuzzing import damage
from penstock.image._jpeg_scan import whole_scan
from strategies import examples


def picture(height: int, width: int, channels: int, noise: float, seed: int = 0) -> np.ndarray:
    """Areas and edges, as photographs have them, and noise on top."""
    rows, columns = np.mgrid[:height, :width]
    planes = [
        127 + 110 * np.sin(rows / (31 + k) + columns / (47 + 2 * k)) * ((rows + columns) % 90 > 14)
        for k in range(channels)
    ]
    noisy = np.stack(planes, axis=2) + noise * np.random.default_rng(seed).standard_normal((height, width, channels))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def encoded(image: np.ndarray, mode: str | None = None, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image.squeeze(axis=2) if image.shape[2] == 1 else image).convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


def by_libjpeg(blob: bytes, space: str = "RGB") -> np.ndarray:
    height, width, *_ = simplejpeg.decode_jpeg_header(blob)
    pixels = simplejpeg.decode_jpeg(blob, space, min_height=-(-height // 8), min_width=-(-width // 8))
    assert pixels.shape[:2] == (-(-height // 8), -(-width // 8))
    return pixels


SIZES = st.tuples(st.integers(9, 300), st.integers(9, 300))
SAVED = st.fixed_dictionaries(
    {"quality": st.integers(1, 95), "optimize": st.booleans()},  # Pillow fails to optimize what is better
    optional={"restart_marker_blocks": st.integers(1, 40)},
)


@examples(150)
@given(
    size=SIZES,
    kind=st.sampled_from(["L", "4:4:4", "4:2:2"]),
    noise=st.sampled_from([0.0, 5.0, 60.0]),
    saved=SAVED,
    channels=st.sampled_from([3, 4]),
)
def test_pixels_are_those_of_libjpeg(
    size: tuple[int, int], kind: str, noise: float, saved: dict[str, Any], channels: int
) -> None:
    options = saved if kind == "L" else {**saved, "subsampling": kind}
    blob = encoded(picture(*size, 1 if kind == "L" else 3, noise), **options)
    np.testing.assert_array_equal(decoded(blob, channels), by_libjpeg(blob, {3: "RGB", 4: "RGBA"}[channels]))
    if kind == "L":
        np.testing.assert_array_equal(decoded(blob, 1), by_libjpeg(blob, "GRAY"))


@examples(40)
@given(size=SIZES, quality=st.integers(1, 100), noise=st.sampled_from([0.0, 30.0]))
def test_pixels_are_those_of_libjpeg_where_colours_are_halved_downwards(
    size: tuple[int, int], quality: int, noise: float
) -> None:
    blob = simplejpeg.encode_jpeg(picture(*size, 3, noise), quality, "RGB", "440")
    np.testing.assert_array_equal(decoded(blob), by_libjpeg(blob))


@examples(80)
@given(size=SIZES, noise=st.sampled_from([0.0, 5.0]), saved=SAVED)
def test_colours_of_a_quarter_of_the_pixels_are_the_means_of_libjpegs(
    size: tuple[int, int], noise: float, saved: dict[str, Any]
) -> None:
    blob = encoded(picture(*size, 3, noise), **saved, subsampling="4:2:0")
    found, expected = decoded(blob), eighth(blob)
    assert found is not None
    height, width = (side // 16 * 2 for side in size)
    assert np.abs(found - expected)[:height, :width].max(initial=0) <= 3


def test_colours_reach_to_the_edges() -> None:
    """Where one colour is all there is, units that are cut have it, too."""
    blob = encoded(np.full((233, 187, 3), (200, 90, 30), np.uint8), subsampling="4:2:0", quality=90)
    found = decoded(blob)
    assert found is not None
    assert np.abs(found.astype(int) - by_libjpeg(blob)).max() <= 2


@pytest.mark.parametrize("what", ["all coefficients", "zeros in between", "large differences"])
def test_rare_codes_are_read(what: str) -> None:
    """Blocks that do without the code for their end; sixteen zeros in a row; differences of means of eleven bits."""
    rows, columns = np.mgrid[:64, :96]
    image = {
        "all coefficients": np.random.default_rng(0).integers(0, 256, (64, 96)),
        "zeros in between": 128
        + 100 * np.cos((2 * rows + 1) * 7 * np.pi / 16) * np.cos((2 * columns + 1) * 7 * np.pi / 16),
        "large differences": 255 * ((rows // 8 + columns // 8) % 2),
    }[what]
    blob = encoded(image.astype(np.uint8)[:, :, None], quality=100)
    np.testing.assert_array_equal(decoded(blob, 1), by_libjpeg(blob, "GRAY"))


def test_luma_is_that_of_libjpeg_whatever_the_colours_are() -> None:
    """Where there is no colour in it, luma is what one sees."""
    grey = picture(231, 187, 1, 20.0)
    blob = encoded(np.repeat(grey, 3, axis=2), subsampling="4:2:0", quality=90)
    np.testing.assert_array_equal(decoded(blob), by_libjpeg(blob))


PHOTOGRAPH = picture(160, 240, 3, 8.0)
BASELINE = encoded(PHOTOGRAPH, quality=85)
RESTARTING = encoded(PHOTOGRAPH, quality=85, restart_marker_blocks=7)


def replaced(blob: bytes, old: bytes, new: bytes) -> bytes:
    assert old in blob
    return blob.replace(old, new, 1)


UNUSUAL = {
    "progressive": encoded(PHOTOGRAPH, progressive=True),
    "CMYK": encoded(PHOTOGRAPH, mode="CMYK"),
    "RGB": encoded(PHOTOGRAPH, keep_rgb=True),
    "4:1:1": simplejpeg.encode_jpeg(PHOTOGRAPH, 85, "RGB", "411"),
    "cut short": BASELINE[: len(BASELINE) // 2],
    "without its end": BASELINE[:-2],
    "a byte too many": BASELINE[:-2] + b"\x55" + BASELINE[-2:],
    "a restart too many": BASELINE[:-2] + b"\xff\xd0" + BASELINE[-2:],
    "restarts in another order": replaced(RESTARTING, b"\xff\xd1", b"\xff\xd2"),
    "a restart left out": replaced(RESTARTING, b"\xff\xd1", b""),
    "no headers": BASELINE[:2],
    "headers only": BASELINE[: BASELINE.index(b"\xff\xda") + 14],
    "a table that is not there": replaced(BASELINE, b"\xff\xda\0\x0c\x03\x01\0", b"\xff\xda\0\x0c\x03\x01\x33"),
    "a part of the coefficients": replaced(BASELINE, b"\x03\x11\0\x3f\0", b"\x03\x11\0\x05\0"),
    "arithmetic coding": replaced(BASELINE, b"\xff\xc0", b"\xff\xc9"),
    "twelve bits": replaced(BASELINE, b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"),
    "another JFIF": replaced(BASELINE, b"JFIF\0\1", b"JFIF\0\2"),
    "a table of codes too many": replaced(BASELINE, b"\xff\xc0", b"\xff\xc4\0\x14\5\1" + bytes(15) + b"\7\xff\xc0"),
    "a table of divisors too many": replaced(BASELINE, b"\xff\xc0", b"\xff\xdb\0\x43\5" + bytes(64) + b"\xff\xc0"),
    "an interval of three bytes": replaced(BASELINE, b"\xff\xc0", b"\xff\xdd\0\5\0\0\0\xff\xc0"),
}


@pytest.mark.parametrize("what", UNUSUAL)
def test_what_is_unusual_is_left_to_libjpeg(what: str) -> None:
    assert decoded(BASELINE) is not None
    assert decoded(RESTARTING) is not None
    assert decoded(UNUSUAL[what]) is None


def test_damaged_files_are_libjpegs_or_are_left_to_it() -> None:
    """What libjpeg refuses or warns of is never taken for an image, and what is taken is what it makes of it."""
    taken = [0, 0, 0, 0]
    kinds = [
        encoded(picture(88, 120, channels, 12.0), quality=80, **options)
        for channels, options in (
            (1, {}),
            (3, {"subsampling": "4:4:4"}),
            (3, {"subsampling": "4:2:2", "restart_marker_blocks": 5}),
            (3, {"subsampling": "4:2:0"}),
        )
    ]
    ways = (damage.bits, damage.some_bytes, damage.numbers, damage.size)
    for seed in range(4000):
        draw = np.random.default_rng(seed)
        blob = bytearray(kinds[seed % len(kinds)])
        ways[int(draw.integers(len(ways)))](draw, blob)
        scan = whole_scan(bytes(blob))
        if scan is None or scan.height * scan.width > 1 << 20:
            continue
        found = decoded(bytes(blob))
        if found is not None:
            taken[seed % 4] += 1
            expected = by_libjpeg(bytes(blob))  # of a quarter of the colours it is enough that it takes them
            if seed % 4 < 3:
                np.testing.assert_array_equal(found, expected, err_msg=f"seed {seed}")
    assert all(100 < count < 500 for count in taken), taken
