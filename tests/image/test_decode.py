"""Bytes to pixels: those of Keras's `load_img`, and errors that name the file."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image

from eighths import decoded as decoded_eighth
from penstock import ImageError
from penstock.image._decode import INTERPOLATIONS, Loading, decode_all, largest_value
from strategies import examples, pixels, quiet

COLOR_MODES = ("grayscale", "rgb", "rgba")
NOISE = pixels(0, (1, 61, 83, 4), "uint8")[0]


def soft(channels: int, height: int = 61, width: int = 83) -> np.ndarray:
    """A picture with areas and edges, as photographs have them."""
    rows, columns = np.mgrid[:height, :width]
    planes = [
        127 + 120 * np.sin(rows / (3 + k) + columns / (5 + 2 * k)) * ((rows + columns) % 31 > 4)
        for k in range(channels)
    ]
    return np.stack(planes, axis=2).astype(np.uint8)


def picture(kind: str) -> Image.Image:
    if kind == "P":
        return Image.fromarray(soft(3)).quantize(40)
    if kind == "1":
        return Image.fromarray(soft(1)[:, :, 0]).convert("1")
    if kind == "I;16":
        return Image.fromarray(pixels(1, (61, 83), "uint16"))
    if kind == "I":
        return Image.fromarray(pixels(1, (61, 83), "int32") // 1000)
    if kind == "LA":
        return Image.fromarray(soft(4)).convert("LA")
    if kind == "CMYK":
        return Image.fromarray(soft(3)).convert("CMYK")
    channels = {"L": 1, "RGB": 3, "RGBA": 4}[kind]
    return Image.fromarray(soft(channels).squeeze())


# Orientation 6: a quarter turn, which Keras does not make.
EXIF = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
FILES: dict[str, tuple[str, dict[str, Any]]] = {
    "baseline.jpg": ("RGB", {"quality": 80}),
    "full.jpg": ("RGB", {"quality": 95, "subsampling": "4:4:4"}),
    "half.jpg": ("RGB", {"subsampling": "4:2:2"}),
    "quarter.jpg": ("RGB", {"subsampling": "4:2:0", "quality": 40}),
    "progressive.jpg": ("RGB", {"progressive": True}),
    "optimized.jpeg": ("RGB", {"optimize": True, "restart_marker_rows": 1}),
    "not transformed.jpg": ("RGB", {"keep_rgb": True}),
    "gray.jpg": ("L", {}),
    "gray progressive.jpg": ("L", {"progressive": True}),
    "cmyk.jpg": ("CMYK", {}),
    "exif.jpg": ("RGB", {"exif": EXIF}),
    "L.png": ("L", {}),
    "RGB.png": ("RGB", {}),
    "RGBA.png": ("RGBA", {}),
    "LA.png": ("LA", {}),
    "palette.png": ("P", {}),
    "palette with a hole.png": ("P", {"transparency": 3}),
    "one colour transparent.png": ("RGB", {"transparency": (127, 127, 127)}),
    "deep.png": ("I;16", {}),
    "bits.png": ("1", {}),
    "colour.bmp": ("RGB", {}),
    "gray.bmp": ("L", {}),
    "colour.ppm": ("RGB", {}),
    "deep.ppm": ("I", {}),
    "colour.tif": ("RGB", {}),
    "packed.tiff": ("RGBA", {"compression": "tiff_lzw"}),
    "deep.tif": ("I;16", {}),
    "very deep.tif": ("I", {}),
    "jpeg inside.png": ("RGB", {"format": "JPEG"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for name, (kind, options) in FILES.items():
        picture(kind).save(folder / name, **options)
    return folder


def decoded(paths: list[Path], loading: Loading) -> list[np.ndarray]:
    images = decode_all([path.read_bytes() for path in paths], [str(path) for path in paths], loading)
    return [images.resized(k) for k in range(len(images))]


def loaded(path: Path, loading: Loading) -> np.ndarray:
    with quiet():
        image = keras.utils.load_img(
            path, loading.color_mode, loading.target_size, loading.interpolation, loading.keep_aspect_ratio
        )
        return keras.utils.img_to_array(image, "channels_last")


def check(paths: list[Path], loading: Loading) -> None:
    """All of them in one batch."""
    for path, got in zip(paths, decoded(paths, loading), strict=True):
        np.testing.assert_array_equal(got.astype(np.float32), loaded(path, loading), f"{path.name} {loading}")


@pytest.mark.parametrize("color_mode", COLOR_MODES)
@pytest.mark.parametrize("name", FILES)
def test_pixels_are_those_of_load_img(folder: Path, name: str, color_mode: str) -> None:
    check([folder / name], Loading(None, color_mode))
    for interpolation in INTERPOLATIONS:
        for keep_aspect_ratio in (False, True):
            check([folder / name], Loading((37, 101), color_mode, interpolation, keep_aspect_ratio))


@examples(150)
@given(
    names=st.lists(st.sampled_from(sorted(FILES)), min_size=1, max_size=5),
    color_mode=st.sampled_from(COLOR_MODES),
    interpolation=st.sampled_from(["nearest", *INTERPOLATIONS]),
    keep_aspect_ratio=st.booleans(),
    target_size=st.one_of(
        st.tuples(st.integers(1, 200), st.integers(1, 200)), st.sampled_from([(61, 83), (61, 40), (1, 1), (300, 2)])
    ),
)
def test_any_files_together_at_any_size_are_those_of_load_img(
    folder: Path, names: list[str], color_mode: str, interpolation: str, keep_aspect_ratio: bool, target_size: Any
) -> None:
    """Eight-bit and deep files, from either decoder, in one batch."""
    check([folder / name for name in names], Loading(target_size, color_mode, interpolation, keep_aspect_ratio))


@examples(60)
@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    target_size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    kind=st.sampled_from(["jpg", "png"]),
    keep_aspect_ratio=st.booleans(),
    interpolation=st.sampled_from(["nearest", "bilinear"]),
)
def test_odd_sizes_resize_as_load_img_does(
    folder: Path, size: Any, target_size: Any, kind: str, keep_aspect_ratio: bool, interpolation: str
) -> None:
    path = folder / f"odd.{kind}"
    Image.fromarray(soft(3, *size)).save(path)
    check([path], Loading(target_size, "rgb", interpolation, keep_aspect_ratio))


def drafted(path: Path, loading: Loading, *, halves_colours: bool) -> np.ndarray:
    """The image by way of Pillow's own scaled decoding, which takes whole photographs only.

    An eighth of which the colours stay halved is ours, as `test_jpeg_eighth.py` has it.
    """
    assert loading.target_size is not None
    height, width = loading.target_size
    with Image.open(path) as opened:
        image: Image.Image = opened
        eighth = -(-image.width // 8), -(-image.height // 8)
        opened.draft(None, (width, height))
        if halves_colours and image.size == eighth and max(eighth) > 1:
            image = Image.fromarray(np.asarray(decoded_eighth(path.read_bytes())))
        if image.mode != loading.color_mode.upper():
            image = image.convert(loading.color_mode.upper())
        return np.asarray(image.resize((width, height), INTERPOLATIONS[loading.interpolation]))


@examples(100)
@given(
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    target_size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    color_mode=st.sampled_from(["rgb", "rgba"]),
    interpolation=st.sampled_from(["nearest", "bilinear", "lanczos"]),
    subsampling=st.sampled_from(["4:4:4", "4:2:2", "4:2:0"]),
    progressive=st.booleans(),
)
def test_fast_decoding_takes_the_share_that_is_left_at_least(
    folder: Path, size: Any, target_size: Any, color_mode: str, interpolation: str, subsampling: str, progressive: bool
) -> None:
    path = folder / "any size.jpg"
    Image.fromarray(soft(3, *size)).save(path, subsampling=subsampling, progressive=progressive)
    loading = Loading(target_size, color_mode, interpolation, decode="fast")
    expected = drafted(path, loading, halves_colours=subsampling == "4:2:0" and not progressive)
    np.testing.assert_array_equal(decoded([path], loading)[0], expected)
    if size[0] < 2 * target_size[0] or size[1] < 2 * target_size[1]:
        check([path], loading)


@pytest.mark.parametrize("name", FILES)
def test_fast_decoding_leaves_all_else_as_it_is(folder: Path, name: str) -> None:
    check([folder / name], Loading((37, 42), decode="fast"))  # more than half of each
    if not name.endswith((".jpg", ".jpeg")) and name != "jpeg inside.png":
        check([folder / name], Loading((5, 5), decode="fast"))


def test_fast_decoding_keeps_the_part_with_the_right_proportions_large_enough(folder: Path) -> None:
    """A wide image for a tall target: the part that is kept is narrow, and decides how far it may shrink."""
    ramp = np.linspace(0, 255, 640).astype(np.uint8)
    Image.fromarray(np.tile(ramp[:, None], (160, 1, 3))).save(folder / "wide.jpg", quality=95)
    blob = (folder / "wide.jpg").read_bytes()
    for target, decoded_to in (
        ((80, 40), (80, 320)),
        ((81, 40), (160, 640)),
        ((20, 20), (20, 80)),
        ((40, 1), (40, 160)),
    ):
        loading = Loading(target, keep_aspect_ratio=True, decode="fast")
        images = decode_all([blob], ["wide.jpg"], loading)
        assert images.flat.size == decoded_to[0] * decoded_to[1] * 3
        (exact,) = decoded([folder / "wide.jpg"], Loading(target, keep_aspect_ratio=True))
        assert np.abs(images.resized(0).astype(int) - exact).mean() < 4


def test_a_way_to_decode_is_one_of_two() -> None:
    with pytest.raises(ValueError, match='`decode` should be "exact" or "fast"'):
        Loading((8, 8), decode="draft")


def test_bytes_stay_bytes_and_deep_files_keep_their_values(folder: Path) -> None:
    paths = [folder / "RGB.png", folder / "quarter.jpg"]
    images = decode_all([path.read_bytes() for path in paths], [str(path) for path in paths], Loading((8, 8)))
    assert images.flat.dtype == np.uint8
    (deep,) = decoded([folder / "deep.png"], Loading(None, "grayscale"))
    assert deep.max() > 60_000
    np.testing.assert_array_equal(deep[:, :, 0], pixels(1, (61, 83), "uint16"))


def test_the_largest_value_tells_deep_files(folder: Path) -> None:
    assert [largest_value((folder / name).read_bytes()) for name in ("deep.png", "deep.tif", "L.png", "gray.jpg")] == [
        65535.0,
        65535.0,
        255.0,
        255.0,
    ]
    assert largest_value(b"no image") == largest_value(b"") == 255.0


# --- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, "bgr"), "Invalid color mode: bgr"),
        ((None, "rgb", "cubic"), "Invalid interpolation method cubic specified"),
        (((3,),), r"`target_size` should be two positive integers \(height, width\). Received: \(3,\)"),
        (((0, 3),), "`target_size` should be two positive integers"),
        (((3, -1),), "`target_size` should be two positive integers"),
        (((3.0, 3),), "`target_size` should be two positive integers"),
        (((50_000, 50_000),), r"`target_size` should hold less than 2\*\*31 pixels"),
    ],
)
def test_settings_that_mean_nothing_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Loading(*arguments)


# --- bad files ------------------------------------------------------------------------------------------------------


def jpeg(**options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(soft(3)).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def png_bomb() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    )


def jpeg_bomb() -> bytes:
    blob = bytearray(jpeg())
    at = blob.index(b"\xff\xc0")
    blob[at + 5 : at + 9] = struct.pack(">HH", 65_500, 65_500)
    return bytes(blob)


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty.jpg": (lambda: b"", "0 bytes"),
    "text.jpg": (lambda: b"these are no pixels\n" * 20, "cannot identify image file"),
    "cut.jpg": (lambda: jpeg()[:1000], "truncated"),
    "cut progressive.jpg": (lambda: jpeg(progressive=True)[:1000], "truncated"),
    "header.jpg": (lambda: jpeg()[:200], ""),
    "marker.jpg": (lambda: b"\xff\xd8\xff", ""),
    "no size.jpg": (lambda: jpeg().replace(struct.pack(">HH", 61, 83), b"\0\0\0\0"), ""),
    "cut.png": (lambda: png_bytes()[:500], ""),
    "bomb.png": (png_bomb, "DecompressionBombError"),
    "bomb.jpg": (jpeg_bomb, "DecompressionBombError"),
}


def png_bytes() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(NOISE).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("color_mode", COLOR_MODES)
@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_an_error_that_names_it(tmp_path: Path, folder: Path, name: str, color_mode: str) -> None:
    make, words = BAD[name]
    (tmp_path / name).write_bytes(make())
    for loading in (Loading((8, 8), color_mode), Loading((8, 8), color_mode, "bilinear"), Loading(None, color_mode)):
        with pytest.raises(ImageError) as caught:
            decoded([folder / "RGB.png", tmp_path / name, folder / "baseline.jpg"], loading)
        assert caught.value.path == str(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert words in str(caught.value)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": "4:4:4", "restart_marker_rows": 1}])
def test_a_jpeg_cut_anywhere_is_read_as_keras_reads_it_or_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    """Never with gray or foreign pixels where the file ends."""
    whole = jpeg(**options)
    refused = 0
    for kept in [*range(0, len(whole) - 3, 61), *range(len(whole) - 3, len(whole) + 1)]:
        path = tmp_path / f"{kept}.jpg"
        path.write_bytes(whole[:kept])
        try:
            expected = loaded(path, Loading(None))
        except Exception:
            refused += 1
            with pytest.raises(ImageError, match="cannot be read as an image"):
                decoded([path], Loading(None))
        else:
            np.testing.assert_array_equal(decoded([path], Loading(None))[0], expected)
    assert refused > 10


@examples(150)
@given(
    options=st.sampled_from([{}, {"progressive": True}]),
    places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4),
)
@pytest.mark.filterwarnings("default")  # Pillow warns of some damage
def test_damage_ends_in_pixels_or_an_image_error(options: dict[str, Any], places: list[tuple[float, int]]) -> None:
    blob = bytearray(jpeg(**options))
    for place, value in places:
        blob[int(place * len(blob))] = value
    error: ImageError | None = None
    try:
        images = decode_all([bytes(blob)], ["damaged.jpg"], Loading((9, 9)))
    except ImageError as raised:
        error = raised
    if error is None:
        assert images.resized(0).shape == (9, 9, 3)
    else:
        assert error.path == "damaged.jpg"


def test_what_follows_the_image_is_ignored_as_keras_ignores_it(folder: Path, tmp_path: Path) -> None:
    for name in ("baseline.jpg", "progressive.jpg", "gray.jpg", "RGB.png"):
        path = tmp_path / name
        path.write_bytes((folder / name).read_bytes() + b"\0" * 100 + b"a camera's own data")
        check([path], Loading(None))


def test_a_jpeg_with_padded_markers_is_read(folder: Path, tmp_path: Path) -> None:
    """Any marker may be preceded by fill bytes, and comments may stand before the frame header."""
    blob = (folder / "baseline.jpg").read_bytes()
    comment = b"\xff\xfe\x00\x09comment"
    (tmp_path / "padded.jpg").write_bytes(blob[:2] + comment + b"\xff\xff" + blob[2:])
    check([tmp_path / "padded.jpg"], Loading((20, 30)))
