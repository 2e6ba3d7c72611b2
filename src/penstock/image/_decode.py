"""Bytes to pixels."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL
import simplejpeg
from PIL import Image, ImageFile, features

from penstock._errors import ImageError
from penstock._types import Array
from penstock.image._geometry import aspect_box, nearest_lookup
from penstock.image._jpeg import LARGE_PIXELS, JpegSize, check_large_jpeg, jpeg_frame, scaled_size
from penstock.image._jpeg_eighth import EIGHTH, EIGHTHS_REVISION, decode_eighth
from penstock.image._jpeg_means import PADDING_BYTES
from penstock.image._jpeg_scan import whole_scan
from penstock.image._pixels import Pixels

INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "hamming": Image.Resampling.HAMMING,
    "box": Image.Resampling.BOX,
    "lanczos": Image.Resampling.LANCZOS,
}
# Files are rendered together, since each call costs a hand-over of the interpreter lock; eight photographs of 157,000
# pixels still lie in a core's cache then.
GROUP_BYTES = 4 << 20
DECODES = ("exact", "fast")
CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
_JPEG_COLOURS = {"grayscale": "GRAY", "rgb": "RGB", "rgba": "RGBA"}
# A file of 74 bytes may declare 178 million rows of one pixel; Pillow takes them for 2.2 GB of pointers to rows.
_LONGEST_SIDE = 1 << 20
_GRAYSCALE_MODES = ("L", "I;16", "I")


@dataclass(frozen=True)
class Loading:
    """How files become images of one size.

    Attributes:
        target_size: `(height, width)` in pixels, or None to keep each image's own.
        color_mode: "grayscale", "rgb" or "rgba".
        interpolation: a key of `INTERPOLATIONS`.
        keep_aspect_ratio: cut the largest centred part with the target's proportions first.
        decode: "exact", or "fast" to decode a JPEG that is at least so much larger than the target to a half, a quarter
            or an eighth; the resize goes on from there.
    """

    target_size: tuple[int, int] | None
    color_mode: str = "rgb"
    interpolation: str = "nearest"
    keep_aspect_ratio: bool = False
    decode: str = "exact"

    def __post_init__(self) -> None:
        if self.decode not in DECODES:
            raise ValueError(f'`decode` should be "exact" or "fast". Received: {self.decode!r}')
        if self.color_mode not in CHANNELS:
            raise ValueError(f'Invalid color mode: {self.color_mode}; expected "rgb", "rgba", or "grayscale".')
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(
                f"Invalid interpolation method {self.interpolation} specified. "
                f"Supported methods are {', '.join(INTERPOLATIONS)}"
            )
        if self.target_size is not None:
            size = self.target_size
            if (
                not isinstance(size, tuple)
                or len(size) != 2
                or not all(isinstance(side, int | np.integer) and side > 0 for side in size)
            ):
                raise ValueError(f"`target_size` should be two positive integers (height, width). Received: {size}")
            # A plane's index is an int32, and its border adds three pixels a side.
            if (size[0] + 3) * (size[1] + 3) >= 2**31:
                raise ValueError(f"`target_size` should hold less than 2**31 pixels. Received: {size}")


def _fresh(nbytes: int) -> Array:
    return np.empty(nbytes, np.uint8)


def decode_groups(
    blobs: Sequence[bytes | memoryview],
    paths: Sequence[str],
    loading: Loading,
    allocate: Callable[[int], Array] = _fresh,
    group_bytes: int = GROUP_BYTES,
) -> Iterator[tuple[slice, Pixels]]:
    """Decode files a few at a time; see `decode_all`.

    Args:
        allocate: gives so many bytes, uint8; those of the group before may be given again.
        group_bytes: of decoded pixels to hold at once, beside one file's bytes where an eighth is made; one file is
            always allowed, and what is no JPEG comes alone.

    Yields:
        Which files, and their pixels.
    """
    channels = CHANNELS[loading.color_mode]
    jpegs = [_jpeg_size(blob, loading) for blob in blobs]
    sizes = [jpeg.height * jpeg.width * channels for jpeg in jpegs]
    start = 0
    while start < len(blobs):
        stop, held = start + 1, sizes[start] or group_bytes
        while stop < len(blobs) and held + (sizes[stop] or group_bytes) <= group_bytes:
            held += sizes[stop]
            stop += 1
        group = slice(start, stop)
        yield group, decode_all(blobs[group], paths[group], loading, jpegs[group], allocate)
        start = stop


def decode_all(
    blobs: Sequence[bytes | memoryview],
    paths: Sequence[str],
    loading: Loading,
    jpegs: Sequence[JpegSize] | None = None,
    allocate: Callable[[int], Array] = _fresh,
) -> Pixels:
    """Decode files into one piece of memory, with the pixels that Keras's `load_img` gives, unless `decode="fast"`.

    JPEG goes through simplejpeg (2.2 to 2.8 times as fast as Pillow, identical pixels), an eighth of one through
    `decode_eighth`, and everything else, and every JPEG that is refused, through Pillow. A nearest-neighbour resize is
    left to the warp, as look-ups; any other is done here by Pillow.

    Args:
        blobs: the bytes of each file.
        paths: for errors.
        loading: with a `target_size`, unless all images are of one size.
        jpegs: what `_jpeg_size` says of each file; None to ask it here.
        allocate: see `decode_groups`.

    Returns:
        Images of uint8; of float32 if any of the files is deeper.

    Raises:
        ImageError: bytes that are no image, are cut short, or exceed Pillow's decompression limit, or would
            take minutes; it names the path.
    """
    if jpegs is None:
        jpegs = [_jpeg_size(blob, loading) for blob in blobs]
    channels = CHANNELS[loading.color_mode]
    pixels = sum(jpeg.height * jpeg.width * channels for jpeg in jpegs)
    eighths = [len(blob) + PADDING_BYTES for blob, jpeg in zip(blobs, jpegs, strict=True) if jpeg.divisor == EIGHTH]
    flat = allocate(pixels + max(eighths, default=0))
    owner = flat if flat.base is None else flat.base
    flat, room = flat[:pixels], flat[pixels:]
    images: list[Array] = []
    at = 0
    for blob, path, jpeg in zip(blobs, paths, jpegs, strict=True):
        end = at + jpeg.height * jpeg.width * channels
        images.append(_decode(blob, path, loading, jpeg, flat[at:end], room))
        at = end
    if not all(image.base is owner for image in images):  # some came from Pillow
        deep = np.dtype(np.float32) if any(image.dtype != np.uint8 for image in images) else np.dtype(np.uint8)
        flat = np.concatenate([image.reshape(-1).astype(deep, copy=False) for image in images])
    sizes = [image.size for image in images]
    layouts = [
        (start, image.shape[1] * channels, channels, 1)
        for start, image in zip(np.cumsum([0, *sizes[:-1]]).tolist(), images, strict=True)
    ]
    parts = [_part(loading, *image.shape[:2]) for image in images]
    target = loading.target_size or images[0].shape[:2]
    rows = [nearest_lookup(i.shape[0], target[0], p[0], p[2]) for i, p in zip(images, parts, strict=True)]
    columns = [nearest_lookup(i.shape[1], target[1], p[1], p[3]) for i, p in zip(images, parts, strict=True)]
    return Pixels(flat, np.array(layouts), channels, np.array(rows), np.array(columns))


def _decode(blob: bytes | memoryview, path: str, loading: Loading, jpeg: JpegSize, buffer: Array, room: Array) -> Array:
    """One image, `(height, width, channels)`, in `buffer` if it is a JPEG that is not left to Pillow.

    Args:
        room: to work in, where an eighth is made.
    """
    try:
        pixels = _decode_jpeg(blob, loading.color_mode, jpeg, buffer, room) if jpeg.height else None
        if pixels is None:
            return _decode_any(blob, loading)
        if loading.target_size is not None and loading.interpolation != "nearest":
            return _resized(pixels, loading)
        return pixels
    except Exception as error:  # decoders raise whatever a damaged file makes them raise
        what = str(error).partition(" <_io.BytesIO")[0]  # Pillow's words for the file
        raise ImageError(
            f"{path!r} cannot be read as an image ({len(blob)} bytes): {type(error).__name__}: {what}. "
            "Replace or remove the file.",
            path=path,
        ) from error


def decode_alone(blob: bytes | memoryview, path: str) -> str | None:
    """Decode one file as `decode_all` does, and let its pixels go.

    Args:
        blob: the bytes of the file.
        path: for errors.

    Returns:
        What a decoder says about data that are damaged and read all the same; None if there is nothing to say.

    Raises:
        ImageError: as `decode_all`.
    """
    loading = Loading((1, 1))
    complaint = None
    jpeg = _jpeg_size(blob, loading)
    if jpeg.height:
        buffer = np.empty((jpeg.height, jpeg.width, CHANNELS["rgb"]), np.uint8)
        try:
            simplejpeg.decode_jpeg(blob, colorspace=_JPEG_COLOURS["rgb"], buffer=buffer)
            return None
        except ValueError as error:
            complaint = str(error)
    _decode(blob, path, loading, JpegSize(), _fresh(0), _fresh(0))
    return complaint if complaint is not None and complaint.startswith("Corrupt JPEG data") else None


def declared_pixels(blob: bytes | memoryview) -> int | None:
    """How many pixels a file says it has, without decoding them; None for no image."""
    try:
        frame = jpeg_frame(blob)
        if frame is not None:
            return frame.height * frame.width
        with Image.open(io.BytesIO(blob)) as image:
            return image.width * image.height
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        found = re.search(r"\d+", str(error))  # Pillow tells the number in its words only
        return int(found[0]) if found else None
    except Exception:  # decoding says what is wrong
        return None


def decoders() -> str:
    """What else decides the pixels and the errors of a file: the libraries, and what a program has set in them."""
    libraries = [
        EIGHTHS_REVISION,
        simplejpeg.__version__,
        PIL.__version__,
        *(features.version(name) for name in ("jpg", "libjpeg_turbo", "libtiff")),
    ]
    return f"{libraries} {ImageFile.LOAD_TRUNCATED_IMAGES} {Image.MAX_IMAGE_PIXELS} {sys.byteorder}"


def largest_value(blob: bytes | memoryview) -> float:
    """The largest value that a file can hold: 65535 for deep grayscale, else 255 (for unreadable ones, too)."""
    try:
        with Image.open(io.BytesIO(blob)) as image:
            return 65535.0 if image.mode in ("I;16", "I") else 255.0
    except Exception:  # the file's own error comes with its batch
        return 255.0


def _part(loading: Loading, height: int, width: int) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) of what is resized."""
    if loading.keep_aspect_ratio and loading.target_size is not None:
        return aspect_box((height, width), loading.target_size)
    return 0, 0, height, width


def _jpeg_size(blob: bytes | memoryview, loading: Loading) -> JpegSize:
    """What a JPEG is decoded to, unless by Pillow; zeros for what is left to that."""
    try:
        frame = jpeg_frame(blob)
        if frame is None:
            return JpegSize()
        check_large_jpeg(blob, frame)
    except ValueError:
        return JpegSize()  # said again, and caught, where the file is decoded
    height, width, components, *_ = frame
    # Pillow makes grey of colour by its own rounding, and CMYK needs Adobe's inversion.
    if not (components == 1 or (components == 3 and loading.color_mode != "grayscale")):
        return JpegSize()
    pixels = height * width
    if pixels == 0 or (Image.MAX_IMAGE_PIXELS is not None and pixels > Image.MAX_IMAGE_PIXELS):
        return JpegSize()  # Pillow warns, or refuses
    if loading.decode == "fast" and loading.target_size is not None:
        return scaled_size(height, width, _least_size(loading, loading.target_size, height, width))
    return JpegSize(height, width)


def _least_size(loading: Loading, target: tuple[int, int], height: int, width: int) -> tuple[int, int]:
    """The whole image's height and width where what is resized has the target's."""
    top, left, bottom, right = _part(loading, height, width)
    return -(-target[0] * height // max(bottom - top, 1)), -(-target[1] * width // max(right - left, 1))


def _decode_jpeg(blob: bytes | memoryview, color_mode: str, jpeg: JpegSize, buffer: Array, room: Array) -> Array | None:
    """The pixels, or None for a file that simplejpeg refuses: Pillow is more lenient, and its errors say more.

    An eighth is made by `decode_eighth`, or by simplejpeg where that gives it back.
    """
    if jpeg.divisor == EIGHTH:
        scan, image = whole_scan(blob), buffer.reshape(jpeg.height, jpeg.width, -1)
        if scan is not None and decode_eighth(blob, scan, image, room):
            return image
    # Asked for all pixels of an image of less than eight a side, it would take seven eighths of it, rounded up.
    least = {"min_height": jpeg.height, "min_width": jpeg.width} if jpeg.divisor > 1 else {}
    try:
        pixels: Array = simplejpeg.decode_jpeg(blob, colorspace=_JPEG_COLOURS[color_mode], buffer=buffer, **least)
    except ValueError:
        return None
    return buffer.reshape(pixels.shape) if pixels.size == buffer.size else None


def _decode_any(blob: bytes | memoryview, loading: Loading) -> Array:
    frame = jpeg_frame(blob)
    with Image.open(io.BytesIO(blob)) as opened:
        _check_opened(opened)
        if frame is not None:
            check_large_jpeg(blob, frame)
        image: Image.Image = opened
        is_large = image.width * image.height > LARGE_PIXELS
        if is_large and loading.interpolation == "nearest" and not image.mode.startswith("I;16"):
            image = _resized_image(image, loading)  # first, so that no second copy of so many pixels is made
        if loading.color_mode == "grayscale":
            if image.mode not in _GRAYSCALE_MODES:
                image = image.convert("L")
        elif image.mode != loading.color_mode.upper():
            image = image.convert(loading.color_mode.upper())
        # Pillow's nearest neighbours of 16-bit images round by another formula than those of all others.
        if loading.interpolation != "nearest" or image.mode == "I;16":
            image = _resized_image(image, loading)
        pixels = np.asarray(image)
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    return np.ascontiguousarray(pixels.reshape(pixels.shape[0], pixels.shape[1], -1))


def _check_opened(image: Image.Image) -> None:
    """Refuse what Pillow would take, before any pixel is decoded."""
    if not 0 < min(image.size) <= max(image.size) <= _LONGEST_SIDE:
        raise ValueError(
            f"an image should have 1 to {_LONGEST_SIDE} pixels a side, and this says {image.width} x {image.height}"
        )
    if image.format == "EPS":
        raise ValueError("it is a PostScript program, which is not run")


def _resized(pixels: Array, loading: Loading) -> Array:
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    resized: Array = np.asarray(_resized_image(image, loading))
    return resized.reshape(*resized.shape[:2], -1)


def _resized_image(image: Image.Image, loading: Loading) -> Any:
    if loading.target_size is None or (image.height, image.width) == tuple(loading.target_size):
        return image
    top, left, bottom, right = _part(loading, image.height, image.width)
    return image.resize(
        (loading.target_size[1], loading.target_size[0]),
        INTERPOLATIONS[loading.interpolation],
        box=(left, top, right, bottom),
    )


def can_be_written(image_format: str) -> bool:
    """Whether Pillow writes files with this extension."""
    extensions = Image.registered_extensions()
    return extensions.get(f".{image_format}".lower()) in Image.SAVE
