"""The compiled kernels; `_compile.py` holds their options.

How they are written, and why:

- One image is warped a few rows at a time, in passes over small buffers: cells, gather, interpolate and write.
  LLVM cannot prove that two array arguments do not overlap, so one loop that both gathers and stores stays
  scalar; split into passes, everything but the gather is vectorised.
- uint8 pixels of up to four channels are packed into one uint32, so that a neighbour is one load. Any other
  image is held as one floating-point plane per channel.
- Planes carry a border of pixels (one before, two behind) that is filled as the fill mode says, so that neighbours
  need no test.
- Reductions run over sixteen fixed lanes, so their order is fixed and they are vectorised all the same.
- No random generator, no globals: everything arrives as an argument, and the caller passes the output in.

Shapes are `(height, width, channels)` unless said otherwise; "flat" arrays come with their strides in elements.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from penstock._compile import compiled

# Fill modes as integers, in the order of `FILL_MODES` in `_geometry.py`.
_NEAREST, _CONSTANT, _REFLECT, _WRAP, _MIRROR, _GRID_WRAP, _GRID_CONSTANT = range(7)

_LANES = 16  # one AVX-512 register of float32
_STRIP_PX = 2048  # pixels per pass; 256 would stay in L1, but starting loops so often costs 0.3 ns/px

# Index arithmetic is unsigned: Numba lets a signed index count from the end, and that test keeps a loop scalar
# (packing costs 1.4 ns/px signed, 0.4 unsigned).
_u = np.uint64


# --- random words -----------------------------------------------------------------------------------------------


@compiled(nogil=False)
def _mul_high(a: Any, b: Any) -> Any:
    """The high 64 bits of the 128-bit product of two uint64."""
    mask = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    a_low, a_high = a & mask, a >> half
    b_low, b_high = b & mask, b >> half
    low = a_low * b_low
    mid = a_high * b_low + (low >> half)
    cross = a_low * b_high + (mid & mask)
    return a_high * b_high + (mid >> half) + (cross >> half)


@compiled(nogil=False)
def philox_words(seed: Any, domain: Any, epoch: Any, index: Any, out: Any) -> None:
    """Philox4x64-10 words for one sample, as `numpy.random.Philox` gives them.

    `out` holds the first words of `Philox(key=[seed, domain], counter=[0, index, epoch, 0])`. NumPy increments the
    counter before the first block, so block b has the counter `(b + 1, index, epoch, 0)`. About 40 ns a block.

    Args:
        seed, domain, epoch, index: uint64.
        out: uint64, `(4 * blocks,)`.

    Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    m0, m1 = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
    w0, w1 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
    for block in range(out.shape[0] // 4):
        c0, c1, c2, c3 = np.uint64(block + 1), index, epoch, np.uint64(0)
        k0, k1 = seed, domain
        for _ in range(10):
            high0, low0 = _mul_high(m0, c0), m0 * c0
            high1, low1 = _mul_high(m1, c2), m1 * c2
            c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
            k0 = k0 + w0
            k1 = k1 + w1
        out[4 * block], out[4 * block + 1], out[4 * block + 2], out[4 * block + 3] = c0, c1, c2, c3


@compiled(nogil=False)
def _uniform(word: Any, low: Any, high: Any) -> Any:
    """A random word as a float64 in [low, high), from its upper 53 bits as NumPy's `Generator.random` does."""
    return low + (high - low) * ((word >> np.uint64(11)) * (1.0 / 9007199254740992.0))


@compiled(nogil=False)
def draw_rows(
    seed: Any, domain: Any, epoch: Any, indices: Any, ranges: Any, choices_x: Any, choices_y: Any, out: Any
) -> None:
    """Twelve random words a sample into its row of parameters; see `draw` in `_draw.py`. About 0.2 us a sample.

    Args:
        indices: int64, `(samples,)`.
        ranges: float64, `(10, 2)`, lowest and highest value by column; a flip's highest value is 1 if it may happen.
        choices_x, choices_y: float64; shifts to pick from instead, unless empty.
        out: float64, `(samples, 10)`.
    """
    words = np.empty(12, np.uint64)
    for k in range(indices.shape[0]):
        philox_words(seed, domain, epoch, np.uint64(indices[k]), words)
        out[k, 0] = _uniform(words[0], ranges[0, 0], ranges[0, 1])
        if choices_x.shape[0] > 0:
            value = choices_x[int(_uniform(words[1], 0.0, choices_x.shape[0]))]
            out[k, 1] = value if _uniform(words[2], 0.0, 1.0) < 0.5 else -value
        else:
            out[k, 1] = _uniform(words[1], ranges[1, 0], ranges[1, 1])
        if choices_y.shape[0] > 0:
            value = choices_y[int(_uniform(words[3], 0.0, choices_y.shape[0]))]
            out[k, 2] = value if _uniform(words[4], 0.0, 1.0) < 0.5 else -value
        else:
            out[k, 2] = _uniform(words[3], ranges[2, 0], ranges[2, 1])
        out[k, 3] = _uniform(words[5], ranges[3, 0], ranges[3, 1])
        out[k, 4] = _uniform(words[6], ranges[4, 0], ranges[4, 1])
        out[k, 5] = _uniform(words[7], ranges[5, 0], ranges[5, 1])
        out[k, 6] = ranges[6, 1] if _uniform(words[8], 0.0, 1.0) < 0.5 else 0.0
        out[k, 7] = ranges[7, 1] if _uniform(words[9], 0.0, 1.0) < 0.5 else 0.0
        out[k, 8] = _uniform(words[10], ranges[8, 0], ranges[8, 1])
        out[k, 9] = _uniform(words[11], ranges[9, 0], ranges[9, 1])


# --- geometry ---------------------------------------------------------------------------------------------------


@compiled(nogil=False)
def affine_rows(transforms: Any, height: int, width: int, keras_centre: bool, out: Any) -> None:
    """Transform parameters to output-to-input pixel maps, one row per sample. About 100 ns a sample.

    The map is `M = R(theta) . T(tx, ty) . S(shear) . Z(zx, zy)` about the image's centre, in coordinates (x, y) with
    x along the columns. See `Transforms` in `_draw.py` for the columns read here and `_geometry.py` for the plain twin.

    Args:
        transforms: float64, `(samples, 10)`; columns theta_deg, tx_px, ty_px, shear_deg, zx, zy, flip_h, flip_v first.
        keras_centre: put the centre where Keras does, at x = height / 2 - 0.5, y = width / 2 - 0.5.
        out: float64, `(samples, 8)`; row = a0 * r + a1 * c + a2, column = a3 * r + a4 * c + a5, then the flips.
    """
    centre_x, centre_y = width / 2 - 0.5, height / 2 - 0.5
    if keras_centre:
        centre_x, centre_y = centre_y, centre_x
    for k in range(transforms.shape[0]):
        theta, tx, ty = transforms[k, 0], transforms[k, 1], transforms[k, 2]
        shear, zx, zy = transforms[k, 3], transforms[k, 4], transforms[k, 5]
        xx, xy, yx, yy = 1.0, 0.0, 0.0, 1.0
        x0, y0 = 0.0, 0.0
        if theta != 0:
            angle = theta * (math.pi / 180)
            xx, xy, yx, yy = math.cos(angle), -math.sin(angle), math.sin(angle), math.cos(angle)
        if tx != 0 or ty != 0:
            x0, y0 = xx * tx + xy * ty, yx * tx + yy * ty
        if shear != 0:
            angle = shear * (math.pi / 180)
            sin, cos = math.sin(angle), math.cos(angle)
            xy, yy = xy * cos - xx * sin, yy * cos - yx * sin
        if zx != 1 or zy != 1:
            xx, yx, xy, yy = xx * zx, yx * zx, xy * zy, yy * zy
        x0 = (xx * -centre_x + xy * -centre_y) + (x0 + centre_x)
        y0 = (yx * -centre_x + yy * -centre_y) + (y0 + centre_y)
        out[k, 0], out[k, 1], out[k, 2] = yy, yx, y0
        out[k, 3], out[k, 4], out[k, 5] = xy, xx, x0
        out[k, 6], out[k, 7] = transforms[k, 6], transforms[k, 7]


@compiled(nogil=False)
def nearest_lookup(size_in: int, start: int, stop: int, out: Any) -> None:
    """See `nearest_lookup` in `_geometry.py`. 299 pixels take 0.9 us, and in NumPy 3.7.

    Positions are summed up step by step, as Pillow does, so that both round alike.

    Args:
        out: int64, `(size_out,)`.
    """
    size_out = out.shape[0]
    if size_in == size_out == stop and start == 0:
        for x in range(size_out):
            out[x] = x
        return
    step = (stop - start) / size_out
    position = start + step * 0.5
    for x in range(size_out):
        out[x] = min(int(position), size_in - 1)
        position += step


@compiled()
def _fold(at: Any, length: int, mode: int) -> Any:
    """A coordinate beyond the image, brought back as SciPy's `map_coordinate` does."""
    if mode == _GRID_CONSTANT:
        at = at if at > -1.0 else -1.0
        return at if at < length else float(length)
    if length <= 1 or not math.isfinite(at):
        return 0.0
    if at < 0:
        if mode == _MIRROR:
            period = 2.0 * length - 2
            at += period * math.floor(-at / period)
            at = at + period if at <= 1 - length else -at
        elif mode == _REFLECT:
            period = 2.0 * length
            if at < -period:
                at += period * math.floor(-at / period)
            at = at + period if at < -length else (1e-15 if at > -1e-15 else -at) - 1
        elif mode == _WRAP:
            at += (length - 1) * (math.floor(-at / (length - 1)) + 1)
        elif mode == _GRID_WRAP:
            at += length * (math.trunc((-1 - at) / length) + 1)
        else:
            at = 0.0
    elif at > length - 1:
        if mode == _MIRROR:
            period = 2.0 * length - 2
            at -= period * math.floor(at / period)
            at = period - at if at >= length else at
        elif mode == _REFLECT:
            period = 2.0 * length
            at -= period * math.floor(at / period)
            at = period - at - 1 if at >= length else at
        elif mode == _WRAP:
            at -= (length - 1) * math.floor(at / (length - 1))
        elif mode == _GRID_WRAP:
            at -= length * math.floor(at / length)
        else:
            at = length - 1.0
    # Far outside, rounding can leave the range; an index must not.
    at = at if at > -1.0 else -1.0
    return at if at < length else float(length)


@compiled()
def _turns(length: int, mode: int, margin: float) -> Any:
    """How `_turned` folds: below which coordinate, sign and offset there; above which, sign and offset there."""
    if mode == _MIRROR:
        return -margin, -1.0, 0.0, float(length), -1.0, 2.0 * length - 2
    if mode == _REFLECT:
        return -margin, -1.0, -1.0, float(length), -1.0, 2.0 * length - 1
    if mode == _WRAP:
        return -margin, 1.0, length - 1.0, length - 1 + margin, 1.0, 1.0 - length
    if mode == _GRID_WRAP:
        return -margin, 1.0, float(length), float(length), 1.0, -float(length)
    return -math.inf, 1.0, 0.0, math.inf, 1.0, 0.0


@compiled()
def _turned(at: Any, turns: Any) -> Any:
    """`_fold` of what lies no further outside than the image is long: no branch, no division, and so in vectors."""
    below, above = turns[1] * at + turns[2], turns[4] * at + turns[5]
    return below if at < turns[0] else (above if at > turns[3] else at)


@compiled()
def _is_one_turn(at: Any, length: int) -> Any:
    return 1e-6 - (length - 1) < at < 2 * (length - 1) - 1e-6


@compiled()
def _clamp(at: Any, low: Any, high: Any) -> Any:
    """Between the two; `low` for NaN."""
    at = at if at > low else low
    return at if at < high else high


@compiled()
def _source(matrix: Any, r: Any, c: Any) -> tuple[Any, Any]:
    """Input coordinates of an output pixel, in SciPy's order, so that ties and edges fall to the same side."""
    return matrix[2] + r * matrix[0] + c * matrix[1], matrix[5] + r * matrix[3] + c * matrix[4]


@compiled()
def _cell(at_row: Any, at_column: Any, shift: Any, stride: Any) -> tuple[Any, Any, Any]:
    """The plane index of the pixel before a place, and the fractions to the next; all in floats, which saves detours.

    Args:
        shift: from the image to the plane, whose border makes all coordinates positive; and 0.5 more for order 0.
    """
    r, c = at_row + shift, at_column + shift
    r0, c0 = np.floor(r), np.floor(c)
    return np.int32(r0 * stride + c0), r - r0, c - c0


@compiled()
def _strip_cells(
    top: int, bottom: int, affine: Any, height: int, width: int, order: int, mode: int, margin: float,
    row_of: Any, column_of: Any, index: Any, f_row: Any, f_column: Any, inside: Any,
) -> None:  # fmt: skip
    """Where in the plane the output rows [top, bottom) come from, one behind the other.

    One loop over all rows, since a row of 32 pixels is too short for the vectors: 0.8 ns/px at any width, not 1.6.

    Args:
        row_of, column_of: float64, row within the strip and column of each pixel.
        index: int32, gets the plane indices of the upper left neighbours (order 1) or of the nearest pixels.
        f_row, f_column: get the fractions between neighbours.
        inside: int64, `(rows, 2)`, gets each row's stretch [first, last) of the strip that is inside; not for nearest.
    """
    matrix = (affine[0], affine[1], affine[2], affine[3], affine[4], affine[5])
    # A flip is a reversed walk over the output.
    row_start, row_step = (height - 1.0 - top, -1.0) if affine[7] != 0 else (float(top), 1.0)
    column_start, column_step = (width - 1.0, -1.0) if affine[6] != 0 else (0.0, 1.0)
    shift, stride = 1.0 if order == 1 else 1.5, width + 3.0
    clamps = mode == _NEAREST or mode == _CONSTANT
    # What is to be folded must only not leave the plane here, and what the margin takes for inside must stay.
    beyond = 0.0 if clamps else 1.0
    row_end, column_end = height - 1.0 + beyond, width - 1.0 + beyond
    is_one_turn = not clamps
    for r in (row_start, row_start + row_step * (bottom - top - 1)):
        for c in (column_start, column_start + column_step * (width - 1)):
            at_row, at_column = _source(matrix, r, c)
            is_one_turn &= _is_one_turn(at_row, height) and _is_one_turn(at_column, width)
    if is_one_turn:
        row_turns, column_turns = _turns(height, mode, margin), _turns(width, mode, margin)
        for x in range(_u((bottom - top) * width)):
            at_row, at_column = _source(
                matrix, row_start + row_step * row_of[x], column_start + column_step * column_of[x]
            )
            at_row, at_column = _turned(at_row, row_turns), _turned(at_column, column_turns)
            at_row, at_column = _clamp(at_row, -beyond, row_end), _clamp(at_column, -beyond, column_end)
            index[x], f_row[x], f_column[x] = _cell(at_row, at_column, shift, stride)
        return
    for x in range(_u((bottom - top) * width)):
        at_row, at_column = _source(matrix, row_start + row_step * row_of[x], column_start + column_step * column_of[x])
        at_row, at_column = _clamp(at_row, -beyond, row_end), _clamp(at_column, -beyond, column_end)
        index[x], f_row[x], f_column[x] = _cell(at_row, at_column, shift, stride)
    if mode == _NEAREST:
        return
    for k in range(bottom - top):
        r = row_start + row_step * k
        first, last = 0, width
        # The part of a line inside a rectangle is one stretch: from both ends to where it begins.
        for from_the_end in (False, True):
            while first < last:
                column = last - 1 if from_the_end else first
                at_row, at_column = _source(matrix, r, column_start + column_step * column)
                if _is_inside((at_row, at_column), height, width, margin):
                    break
                if not clamps:
                    x = k * width + column
                    at_row, at_column = _fold(at_row, height, mode), _fold(at_column, width, mode)
                    index[x], f_row[x], f_column[x] = _cell(at_row, at_column, shift, stride)
                if from_the_end:
                    last -= 1
                else:
                    first += 1
        inside[k, 0], inside[k, 1] = k * width + first, k * width + last


@compiled()
def _is_inside(at: Any, height: int, width: int, margin: float) -> Any:
    return -margin <= at[0] <= height - 1.0 + margin and -margin <= at[1] <= width - 1.0 + margin


# --- planes: the image with its border, in the form that gathers fast ---------------------------------------------


@compiled()
def _border(plane: Any, base: int, height: int, width: int, mode: int, outside: Any) -> None:
    """Fill the border of the plane `(height + 3, width + 3)` at `base`, whose image starts at (1, 1)."""
    stride = width + 3
    for y in range(1, height + 1):
        start = base + y * stride
        if mode == _GRID_CONSTANT:
            before = behind = outside
        elif mode == _GRID_WRAP:
            before, behind = plane[start + width], plane[start + 1]
        elif mode == _MIRROR and width > 1:
            # SciPy leaves coordinates between the last pixel and one beyond it, whose right neighbour is mirrored.
            before, behind = plane[start + 2], plane[start + width - 1]
        else:
            before, behind = plane[start + 1], plane[start + width]
        plane[start] = before
        plane[start + width + 1] = behind
        plane[start + width + 2] = behind
    for which in range(3):
        target = base + (0 if which == 0 else height + which) * stride
        if mode == _GRID_CONSTANT:
            for x in range(stride):
                plane[target + x] = outside
        else:
            if mode == _GRID_WRAP:
                source = base + (height if which == 0 else 1) * stride
            elif mode == _MIRROR and height > 1:
                source = base + (2 if which == 0 else height - 1) * stride
            else:
                source = base + (1 if which == 0 else height) * stride
            for x in range(stride):
                plane[target + x] = plane[source + x]


@compiled()
def _pack(images: Any, layout: Any, rows: Any, columns: Any, channels: int, plane: Any) -> None:
    """uint8 pixels into one uint32 each, channel k in bits 8k; the nearest-neighbour resize is the two look-ups.

    Where a pixel's channels lie together, four bytes are read whatever their number, which LLVM makes one load (0.4
    ns/px, and 0.8 byte by byte): what is in the bits of channels that an image has not is never looked at. Look-ups
    ascend, so a row's last pixel tells whether there are four.
    """
    height, width = rows.shape[0], columns.shape[0]
    s_column, s_channel = _u(layout[2]), _u(layout[3])
    one, two, three = _u(1), _u(2), _u(3)
    eight, sixteen, twenty_four = np.uint32(8), np.uint32(16), np.uint32(24)
    together = layout[3] == 1
    for y in range(height):
        target = _u((y + 1) * (width + 3) + 1)
        start = layout[0] + rows[y] * layout[1]
        source = _u(start)
        if together and start + columns[width - 1] * layout[2] + 4 <= images.shape[0]:
            for x in range(_u(width)):
                at = source + _u(columns[x]) * s_column
                plane[target + x] = (
                    np.uint32(images[at])
                    | (np.uint32(images[at + one]) << eight)
                    | (np.uint32(images[at + two]) << sixteen)
                    | (np.uint32(images[at + three]) << twenty_four)
                )
        else:
            for x in range(_u(width)):
                at = source + _u(columns[x]) * s_column
                pixel = np.uint32(images[at])
                for k in range(1, channels):
                    pixel |= np.uint32(images[at + _u(k) * s_channel]) << np.uint32(8 * k)
                plane[target + x] = pixel


@compiled()
def _spread(images: Any, layout: Any, channel: int, rows: Any, columns: Any, planes: Any, base: int) -> None:
    """One channel of an image of any type as the floating-point plane at `base`."""
    height, width = rows.shape[0], columns.shape[0]
    s_column = _u(layout[2])
    for y in range(height):
        target = _u(base + (y + 1) * (width + 3) + 1)
        source = _u(layout[0] + rows[y] * layout[1] + channel * layout[3])
        for x in range(_u(width)):
            planes[target + x] = images[source + _u(columns[x]) * s_column]


@compiled()
def resize_many(images: Any, layouts: Any, rows: Any, columns: Any, channels: int, out: Any, stride: int) -> None:
    """Images after their nearest-neighbour resize, channels last, image k at `k * stride`.

    299x299x3: 0.05 ms an image.

    Args:
        images, layouts, rows, columns: see `Pixels`.
        out: flat, of the type of `images`.
    """
    one, two, three = _u(1), _u(2), _u(3)
    for k in range(layouts.shape[0]):
        layout = layouts[k]
        r, c = rows[min(k, rows.shape[0] - 1)], columns[min(k, columns.shape[0] - 1)]
        height, width = r.shape[0], c.shape[0]
        together = layout[3] == 1
        # Of a nearest-neighbour resize's columns some are left out, or some come twice, but never both: first and last
        # tell whether there is one of each.
        whole = together and layout[2] == channels and c[width - 1] - c[0] == width - 1
        s_column, s_channel = _u(layout[2]), _u(layout[3])
        for y in range(height):
            start, end = layout[0] + r[y] * layout[1], k * stride + y * width * channels
            source, target = _u(start), _u(end)
            if whole:
                first = start + c[0] * layout[2]
                out[end : end + width * channels] = images[first : first + width * channels]
            elif together and channels == 3:
                for x in range(_u(width)):
                    at, to = source + _u(c[x]) * s_column, target + three * x
                    red, green, blue = images[at], images[at + one], images[at + two]
                    out[to], out[to + one], out[to + two] = red, green, blue
            else:
                for x in range(_u(width)):
                    at, to = source + _u(c[x]) * s_column, target + x * _u(channels)
                    for channel in range(_u(channels)):
                        out[to + channel] = images[at + channel * s_channel]


# --- rows -------------------------------------------------------------------------------------------------------


@compiled()
def _bilinear(a: Any, b: Any, c: Any, d: Any, f_row: Any, f_column: Any) -> Any:
    """Between four neighbours; a + f * (b - a) is exactly `a` where both are equal, so flat areas stay flat."""
    top = a + f_column * (b - a)
    bottom = c + f_column * (d - c)
    return top + f_row * (bottom - top)


@compiled()
def _gather_pairs(pixels: int, plane: Any, stride: int, index: Any, above: Any, below: Any) -> None:
    """The four neighbours of each pixel, the left ones in the lower halves: two loads of 64 bits. 0.6 ns/px, not 1.1.

    Args:
        above, below: uint64, at least `(pixels,)`.
    """
    right, next_row, half = _u(1), _u(stride), _u(32)
    for x in range(_u(pixels)):
        i = _u(index[x])
        j = i + next_row
        above[x] = _u(plane[i]) | (_u(plane[i + right]) << half)
        below[x] = _u(plane[j]) | (_u(plane[j + right]) << half)


@compiled()
def _rgb_strip(
    pixels: int, above: Any, below: Any, f_row: Any, f_column: Any, rescale: Any, centre: Any, gain: Any, out: Any,
    start: int,
) -> None:  # fmt: skip
    """One strip of RGB between neighbours from `_gather_pairs`, standardized and written.

    All in one loop with constant shifts: 1.2 ns/px, and 0.5 more with the values in a buffer in between.
    """
    kind, byte, eight, sixteen = out.dtype.type, np.uint32(255), np.uint32(8), np.uint32(16)
    one, two, three = _u(1), _u(2), _u(3)
    upper, lower = above.view(np.uint32), below.view(np.uint32)
    c0, c1, c2, g0, g1, g2 = centre[0], centre[1], centre[2], gain[0], gain[1], gain[2]
    for x in range(_u(pixels)):
        a, b, c, d = upper[two * x], upper[two * x + one], lower[two * x], lower[two * x + one]
        # Through int32, which every x86-64 converts to float in one instruction.
        red = _bilinear(
            kind(np.int32(a & byte)), kind(np.int32(b & byte)),
            kind(np.int32(c & byte)), kind(np.int32(d & byte)), f_row[x], f_column[x],
        )  # fmt: skip
        green = _bilinear(
            kind(np.int32((a >> eight) & byte)), kind(np.int32((b >> eight) & byte)),
            kind(np.int32((c >> eight) & byte)), kind(np.int32((d >> eight) & byte)), f_row[x], f_column[x],
        )  # fmt: skip
        blue = _bilinear(
            kind(np.int32((a >> sixteen) & byte)), kind(np.int32((b >> sixteen) & byte)),
            kind(np.int32((c >> sixteen) & byte)), kind(np.int32((d >> sixteen) & byte)), f_row[x], f_column[x],
        )  # fmt: skip
        target = _u(start) + three * x
        out[target] = (red * rescale - c0) * g0
        out[target + one] = (green * rescale - c1) * g1
        out[target + two] = (blue * rescale - c2) * g2


@compiled()
def _rgb_strip_unpacked(pixels: int, packed: Any, rescale: Any, centre: Any, gain: Any, out: Any, start: int) -> None:
    """One strip of RGB as it lies in `packed`, standardized and written."""
    kind, byte, eight, sixteen = out.dtype.type, np.uint32(255), np.uint32(8), np.uint32(16)
    one, two, three = _u(1), _u(2), _u(3)
    c0, c1, c2, g0, g1, g2 = centre[0], centre[1], centre[2], gain[0], gain[1], gain[2]
    for x in range(_u(pixels)):
        pixel, target = packed[x], _u(start) + three * x
        out[target] = (kind(np.int32(pixel & byte)) * rescale - c0) * g0
        out[target + one] = (kind(np.int32((pixel >> eight) & byte)) * rescale - c1) * g1
        out[target + two] = (kind(np.int32((pixel >> sixteen) & byte)) * rescale - c2) * g2


@compiled()
def _gather(pixels: int, plane: Any, index: Any, packed: Any) -> None:
    """The nearest pixel of each."""
    for x in range(_u(pixels)):
        packed[x] = plane[_u(index[x])]


@compiled()
def _copy(top: int, bottom: int, plane: Any, height: int, width: int, affine: Any, packed: Any) -> None:
    """The output rows [top, bottom) of a packed plane where the geometry is at most a flip."""
    for row in range(top, bottom):
        r = height - 1 - row if affine[7] != 0 else row
        source, target = _u((r + 1) * (width + 3) + 1), _u((row - top) * width)
        if affine[6] != 0:
            last = source + _u(width - 1)
            for x in range(_u(width)):
                packed[target + x] = plane[last - x]
        else:
            for x in range(_u(width)):
                packed[target + x] = plane[source + x]


@compiled()
def _strip_from_packed(
    pixels: int, between: bool, packed: Any, above: Any, below: Any, f_row: Any, f_column: Any, channels: int,
    values: Any,
) -> None:  # fmt: skip
    """One strip of output, channel k at `values[k * pixels]`: between neighbours, or as it lies in `packed`."""
    kind, byte = values.dtype.type, _u(255)
    for k in range(channels):
        left, right, base = _u(8 * k), _u(8 * k + 32), _u(k * pixels)
        if not between:
            shift, low = np.uint32(8 * k), np.uint32(255)
            for x in range(_u(pixels)):
                values[base + x] = np.int32((packed[x] >> shift) & low)
        else:
            for x in range(_u(pixels)):
                values[base + x] = _bilinear(
                    kind(np.int32((above[x] >> left) & byte)), kind(np.int32((above[x] >> right) & byte)),
                    kind(np.int32((below[x] >> left) & byte)), kind(np.int32((below[x] >> right) & byte)),
                    f_row[x], f_column[x],
                )  # fmt: skip


@compiled()
def _strip_from_planes(
    pixels: int, planes: Any, stride: int, size: int, order: int, index: Any, f_row: Any, f_column: Any,
    above: Any, below: Any, n00: Any, n01: Any, n10: Any, n11: Any, channels: int, values: Any,
) -> None:  # fmt: skip
    """One strip of output, channel k at `values[k * pixels]`, from one floating-point plane of `size` per channel.

    Args:
        above, below: uint64, for pairs of float32; the other numbers of `n00` to `n11` are for float64.
    """
    one, two, next_row, across = _u(1), _u(2), _u(stride), _u(stride + 1)
    for k in range(channels):
        base, plane = _u(k * pixels), _u(k * size)
        if order == 1 and planes.itemsize == 4:
            _gather_pairs(pixels, planes[k * size :].view(np.uint32), stride, index, above, below)
            upper, lower = above.view(planes.dtype), below.view(planes.dtype)
            for x in range(_u(pixels)):
                values[base + x] = _bilinear(
                    upper[two * x], upper[two * x + one], lower[two * x], lower[two * x + one], f_row[x], f_column[x]
                )
        elif order == 1:
            for x in range(_u(pixels)):
                i = plane + _u(index[x])
                n00[x] = planes[i]
                n01[x] = planes[i + one]
                n10[x] = planes[i + next_row]
                n11[x] = planes[i + across]
            for x in range(_u(pixels)):
                values[base + x] = _bilinear(n00[x], n01[x], n10[x], n11[x], f_row[x], f_column[x])
        else:
            for x in range(_u(pixels)):
                values[base + x] = planes[plane + _u(index[x])]


@compiled()
def _strip_copied(
    top: int, bottom: int, images: Any,  layout: Any, rows: Any, columns: Any, affine: Any,
    channels: int, values: Any,
) -> None:  # fmt: skip
    """One strip of output where the geometry is at most a flip."""
    height, width = rows.shape[0], columns.shape[0]
    s_column = _u(layout[2])
    for row in range(top, bottom):
        r = height - 1 - row if affine[7] != 0 else row
        for k in range(channels):
            source = _u(layout[0] + rows[r] * layout[1] + k * layout[3])
            target = _u((k * (bottom - top) + row - top) * width)
            if affine[6] != 0:
                end = _u(width - 1)
                for x in range(_u(width)):
                    values[target + x] = images[source + _u(columns[end - x]) * s_column]
            else:
                for x in range(_u(width)):
                    values[target + x] = images[source + _u(columns[x]) * s_column]


@compiled()
def _write_strip(
    pixels: int, values: Any, rescale: Any, centre: Any, gain: Any, out: Any, start: int, strides: Any
) -> None:
    """Standardize one strip, `(v * rescale - centre) * gain`, and write it, channels last or first."""
    channels = centre.shape[0]
    one, two, three = _u(1), _u(2), _u(3)
    if strides[2] == 3:
        red, green, blue = values[:pixels], values[pixels : 2 * pixels], values[2 * pixels : 3 * pixels]
        c0, c1, c2, g0, g1, g2 = centre[0], centre[1], centre[2], gain[0], gain[1], gain[2]
        for x in range(_u(pixels)):
            target = _u(start) + three * x
            out[target] = (red[x] * rescale - c0) * g0
            out[target + one] = (green[x] * rescale - c1) * g1
            out[target + two] = (blue[x] * rescale - c2) * g2
        return
    for k in range(channels):
        base, target, step, by, factor = _u(k * pixels), _u(start + k * strides[3]), _u(strides[2]), centre[k], gain[k]
        if step == one:
            for x in range(_u(pixels)):
                out[target + x] = (values[base + x] * rescale - by) * factor
        else:
            for x in range(_u(pixels)):
                out[target + x * step] = (values[base + x] * rescale - by) * factor


@compiled()
def _fill_outside(
    rows: int, width: int, inside: Any, cval: float, rescale: Any, centre: Any, gain: Any, out: Any, start: int,
    strides: Any,
) -> None:  # fmt: skip
    """The constant beyond each row's stretch inside the image, standardized as all values are."""
    for k in range(centre.shape[0]):
        value = (out.dtype.type(cval) * rescale - centre[k]) * gain[k]
        base = start + k * strides[3]
        for r in range(rows):
            for x in range(r * width, inside[r, 0]):
                out[base + x * strides[2]] = value
            for x in range(inside[r, 1], (r + 1) * width):
                out[base + x * strides[2]] = value


@compiled()
def _is_identity(affine: Any) -> Any:
    return affine[0] == 1 and affine[1] == 0 and affine[2] == 0 and affine[3] == 0 and affine[4] == 1 and affine[5] == 0


# --- whole images: values --------------------------------------------------------------------------------------


@compiled()
def _extent_of_keys(keys: Any, shift: Any, mask: Any) -> tuple[Any, Any]:
    """Smallest and largest float, as signed integers that are ordered alike.

    LLVM vectorises a minimum of integers; one of floats it does not, for the sake of NaN (0.55 ns a value, not 0.1).
    """
    low = high = keys[0] ^ ((keys[0] >> shift) & mask)
    for i in range(_u(keys.shape[0])):
        key = keys[i] ^ ((keys[i] >> shift) & mask)  # a negative float's bits count downwards
        low, high = min(low, key), max(high, key)
    return low ^ ((low >> shift) & mask), high ^ ((high >> shift) & mask)


@compiled()
def _extent(block: Any) -> tuple[Any, Any]:
    """Smallest and largest value of a flat block of float32 or float64."""
    ends = np.empty(2, block.dtype)
    if block.itemsize == 4:
        ends32 = ends.view(np.int32)
        ends32[0], ends32[1] = _extent_of_keys(block.view(np.int32), np.int32(31), np.int32(0x7FFFFFFF))
    else:
        ends64 = ends.view(np.int64)
        ends64[0], ends64[1] = _extent_of_keys(block.view(np.int64), np.int64(63), np.int64(0x7FFFFFFFFFFFFFFF))
    return ends[0], ends[1]


@compiled()
def _moments(block: Any, rescale: Any, with_spread: bool) -> tuple[float, float]:
    """Mean and, if asked for, population standard deviation of `block * rescale`, in float64 over fixed lanes."""
    lanes = np.zeros(_LANES)
    size = block.shape[0]
    whole = size - size % _LANES
    for i in range(0, whole, _LANES):
        for lane in range(_LANES):
            lanes[lane] += block[i + lane] * rescale
    for i in range(whole, size):
        lanes[0] += block[i] * rescale
    mean = lanes.sum() / size
    if not with_spread:
        return mean, 0.0
    lanes[:] = 0
    for i in range(0, whole, _LANES):
        for lane in range(_LANES):
            d = block[i + lane] * rescale - mean
            lanes[lane] += d * d
    for i in range(whole, size):
        d = block[i] * rescale - mean
        lanes[0] += d * d
    return mean, math.sqrt(lanes.sum() / size)


@compiled()
def _brighten(block: Any, factor: float, stride: int, channels: int, low: float, high: float) -> None:
    """Scale the colour values (not an alpha channel) and clip them to [low, high]."""
    kind = block.dtype.type
    scale, bottom, top = kind(factor), kind(low), kind(high)
    plane = block.shape[0] // channels
    if channels != 4:
        for i in range(block.shape[0]):
            v = block[i] * scale
            v = v if v > bottom else bottom
            block[i] = v if v < top else top
        return
    for k in range(3):
        base, step = (k, 4) if stride == 1 else (k * plane, 1)
        for i in range(plane):
            v = block[base + step * i] * scale
            v = v if v > bottom else bottom
            block[base + step * i] = v if v < top else top


@compiled()
def _brighten_as_pillow(block: Any, factor: float, stride: int, channels: int) -> None:
    """Keras's brightness: through uint8 and Pillow's blend with black, values outside 0...255 stretched and back."""
    smallest, largest = _extent(block)
    kind = block.dtype.type
    stretched = smallest < 0 or largest > 255
    span = largest - smallest
    alpha = np.float32(factor)
    plane = block.shape[0] // channels
    for k in range(channels):
        keep = channels == 4 and k == 3  # Pillow leaves an alpha channel as it is
        base, step = (k, channels) if stride == 1 else (k * plane, 1)
        for i in range(plane):
            v = block[base + step * i]
            if stretched:
                v = v - smallest
                if span != 0:
                    v = v / span
                v = v * kind(255)
            byte = np.float32(np.int32(np.float32(v)))  # Keras makes float32 of all before it cuts fractions off
            if not keep:
                byte = byte * alpha
                byte = byte if byte > 0 else np.float32(0)
                byte = np.float32(np.int32(byte)) if byte < 255 else np.float32(255)
            v = kind(byte)
            block[base + step * i] = v / kind(255) * span + smallest if stretched else v


@compiled()
def _colour(
    block: Any, stride: int, channels: int, shift: float, brightness: float, as_pillow: bool, low: float, high: float
) -> None:
    """Channel shift, clipped to the image's own extent, then brightness; NaN means none."""
    if not math.isnan(shift):
        smallest, largest = _extent(block)
        by = block.dtype.type(shift)
        for i in range(block.shape[0]):
            v = block[i] + by
            v = v if v > smallest else smallest
            block[i] = v if v < largest else largest
    if not math.isnan(brightness):
        if as_pillow:
            _brighten_as_pillow(block, brightness, stride, channels)
        else:
            _brighten(block, brightness, stride, channels, low, high)


@compiled()
def standardize_block(
    block: Any,
    stride: int,
    channels: int,
    rescale: Any,
    sample_centre: bool,
    sample_scale: bool,
    centre: Any,
    gain: Any,
) -> None:
    """Standardize one image in place: `(v * rescale - mean) / (std + 1e-6)`, then `(v - centre) * gain` by channel.

    Args:
        block: float, flat, one image.
        stride: elements between a pixel's channels (1: channels last).
        sample_centre, sample_scale: subtract the image's own mean, divide by its own standard deviation + 1e-6.
        centre, gain: float, `(channels,)`.
    """
    kind = block.dtype.type
    mean, unit = 0.0, 1.0
    if sample_centre or sample_scale:
        mean, spread = _moments(block, rescale, sample_scale)
        mean = mean if sample_centre else 0.0
        unit = 1 / (spread + 1e-6) if sample_scale else 1.0
    factor, offset, own_gain = kind(rescale), kind(mean), kind(unit)
    if factor != 1 or offset != 0 or own_gain != 1:
        for i in range(block.shape[0]):
            block[i] = (block[i] * factor - offset) * own_gain
    plane = block.shape[0] // channels
    for k in range(channels):
        if centre[k] != 0 or gain[k] != 1:
            base, step = (k, channels) if stride == 1 else (k * plane, 1)
            for i in range(plane):
                block[base + step * i] = (block[base + step * i] - centre[k]) * gain[k]


@compiled()
def standardize_many(
    out: Any,
    images: int,
    stride: int,
    channels: int,
    rescale: Any,
    sample_centre: bool,
    sample_scale: bool,
    centre: Any,
    gain: Any,
) -> None:
    """`standardize_block` on `images` images that lie one behind the other in the flat `out`."""
    size = out.shape[0] // images
    for k in range(images):
        standardize_block(
            out[k * size : (k + 1) * size], stride, channels, rescale, sample_centre, sample_scale, centre, gain
        )


# --- whole images: the two entries -------------------------------------------------------------------------------


@compiled()
def _finish_image(
    out: Any, origin: int, out_strides: Any, shift: float, brightness: float, as_pillow: bool, low: float, high: float,
    rescale: Any, sample_centre: bool, sample_scale: bool, centre: Any, gain: Any,
) -> None:  # fmt: skip
    """What needs the whole image's values: its extent, its mean."""
    channels = centre.shape[0]
    block = out[origin : origin + out_strides[0]]
    _colour(block, out_strides[3], channels, shift, brightness, as_pillow, low, high)
    standardize_block(block, out_strides[3], channels, rescale, sample_centre, sample_scale, centre, gain)


@compiled()
def render_packed(
    images: Any, layouts: Any, rows: Any, columns: Any, affines: Any, transforms: Any, order: int, mode: int,
    cval: float, margin: float, as_pillow: bool, low: float, high: float, rescale: Any, sample_centre: bool,
    sample_scale: bool, centre: Any, gain: Any, out: Any, out_strides: Any,
) -> None:  # fmt: skip
    """Resize, warp, colour and standardize uint8 images of one to four channels; one call, one lock hand-over.

    32x32x3: 3.2 us an image. 299x299x3: 0.31 ms, 0.05 ms more with a channel shift. (One 2.6 GHz Zen 4 core.)

    Args:
        images: uint8, flat.
        layouts, rows, columns: see `Pixels`.
        affines: float64, `(samples, 8)`, see `affine_rows`.
        transforms: float64, `(samples, 10)`; its last two columns are channel shift and brightness, NaN for none.
        order: 0 or 1. mode: index into `FILL_MODES`. cval: the value outside for the constant modes.
        margin: how far outside a coordinate still counts as inside, in pixels.
        as_pillow: Keras's brightness; else values are clipped to [low, high].
        rescale ... gain: see `standardize_block`.
        out: float32 or float64, flat; `out_strides` int64 `(4,)`, elements per sample, row, column, channel.
    """
    height, width, channels = rows.shape[1], columns.shape[1], centre.shape[0]
    stride, size = width + 3, (height + 3) * (width + 3)
    strip = min(height, max(1, _STRIP_PX // width))
    reach = strip * width
    index, inside = np.empty(reach, np.int32), np.empty((strip, 2), np.int64)
    row_of, column_of = np.empty(reach), np.empty(reach)
    for row in range(strip):  # without a division, 1.4 us less a call
        for column in range(width):
            row_of[row * width + column], column_of[row * width + column] = row, column
    f_row, f_column = np.empty(reach, out.dtype), np.empty(reach, out.dtype)
    values = np.empty(channels * reach, out.dtype)
    none, one = np.zeros(channels, out.dtype), np.ones(channels, out.dtype)
    plane = np.empty(size, np.uint32)
    packed = np.empty(reach, np.uint32)
    above, below = np.empty(reach, np.uint64), np.empty(reach, np.uint64)
    outside = np.uint32(0)
    for k in range(channels):
        outside |= np.uint32(min(max(cval, 0.0), 255.0)) << np.uint32(8 * k)
    for k in range(layouts.shape[0]):
        affine, layout = affines[k], layouts[k]
        r, c = rows[min(k, rows.shape[0] - 1)], columns[min(k, columns.shape[0] - 1)]
        late = sample_centre or sample_scale or not (math.isnan(transforms[k, 8]) and math.isnan(transforms[k, 9]))
        by, less, times = (out.dtype.type(1), none, one) if late else (rescale, centre, gain)
        copied = _is_identity(affine)
        between = order == 1 and not copied
        straight = channels == 3 and out_strides[2] == 3
        origin = k * out_strides[0]
        _pack(images, layout, r, c, channels, plane)
        if not copied:
            _border(plane, 0, height, width, mode, outside)
        for top in range(0, height, strip):
            bottom = min(top + strip, height)
            start, pixels = origin + top * out_strides[1], (bottom - top) * width
            if copied:
                _copy(top, bottom, plane, height, width, affine, packed)
            else:
                _strip_cells(
                    top, bottom, affine, height, width, order, mode, margin, row_of, column_of, index, f_row, f_column,
                    inside,
                )  # fmt: skip
                if between:
                    _gather_pairs(pixels, plane, stride, index, above, below)
                else:
                    _gather(pixels, plane, index, packed)
            if straight and between:
                _rgb_strip(pixels, above, below, f_row, f_column, by, less, times, out, start)
            elif straight:
                _rgb_strip_unpacked(pixels, packed, by, less, times, out, start)
            else:
                _strip_from_packed(pixels, between, packed, above, below, f_row, f_column, channels, values)
                _write_strip(pixels, values, by, less, times, out, start, out_strides)
            if mode == _CONSTANT and not copied:
                _fill_outside(bottom - top, width, inside, cval, by, less, times, out, start, out_strides)
        if late:
            _finish_image(
                out, origin, out_strides, transforms[k, 8], transforms[k, 9], as_pillow, low, high, rescale,
                sample_centre, sample_scale, centre, gain,
            )  # fmt: skip


@compiled()
def render_planes(
    images: Any, layouts: Any, rows: Any, columns: Any, affines: Any, transforms: Any, order: int, mode: int,
    cval: float, margin: float, as_pillow: bool, low: float, high: float, rescale: Any, sample_centre: bool,
    sample_scale: bool, centre: Any, gain: Any, out: Any, out_strides: Any,
) -> None:  # fmt: skip
    """`render_packed` for images of any real type and any number of channels. 32x32x3 float32: 7.5 us an image."""
    height, width, channels = rows.shape[1], columns.shape[1], centre.shape[0]
    stride, size = width + 3, (height + 3) * (width + 3)
    strip = min(height, max(1, _STRIP_PX // width))
    reach = strip * width
    index, inside = np.empty(reach, np.int32), np.empty((strip, 2), np.int64)
    row_of, column_of = np.empty(reach), np.empty(reach)
    for row in range(strip):  # without a division, 1.4 us less a call
        for column in range(width):
            row_of[row * width + column], column_of[row * width + column] = row, column
    f_row, f_column = np.empty(reach, out.dtype), np.empty(reach, out.dtype)
    values = np.empty(channels * reach, out.dtype)
    none, one = np.zeros(channels, out.dtype), np.ones(channels, out.dtype)
    planes = np.empty(channels * size, out.dtype)
    above, below = np.empty(reach, np.uint64), np.empty(reach, np.uint64)
    n00, n01 = np.empty(reach, out.dtype), np.empty(reach, out.dtype)
    n10, n11 = np.empty(reach, out.dtype), np.empty(reach, out.dtype)
    for k in range(layouts.shape[0]):
        affine, layout = affines[k], layouts[k]
        r, c = rows[min(k, rows.shape[0] - 1)], columns[min(k, columns.shape[0] - 1)]
        late = sample_centre or sample_scale or not (math.isnan(transforms[k, 8]) and math.isnan(transforms[k, 9]))
        by, less, times = (out.dtype.type(1), none, one) if late else (rescale, centre, gain)
        copied = _is_identity(affine)
        origin = k * out_strides[0]
        if not copied:
            for channel in range(channels):
                _spread(images, layout, channel, r, c, planes, channel * size)
                _border(planes, channel * size, height, width, mode, out.dtype.type(cval))
        for top in range(0, height, strip):
            bottom = min(top + strip, height)
            start, pixels = origin + top * out_strides[1], (bottom - top) * width
            if copied:
                _strip_copied(top, bottom, images, layout, r, c, affine, channels, values)
            else:
                _strip_cells(
                    top, bottom, affine, height, width, order, mode, margin, row_of, column_of, index, f_row, f_column,
                    inside,
                )  # fmt: skip
                _strip_from_planes(
                    pixels, planes, stride, size, order, index, f_row, f_column, above, below, n00, n01, n10, n11,
                    channels, values,
                )  # fmt: skip
            _write_strip(pixels, values, by, less, times, out, start, out_strides)
            if mode == _CONSTANT and not copied:
                _fill_outside(bottom - top, width, inside, cval, by, less, times, out, start, out_strides)
        if late:
            _finish_image(
                out, origin, out_strides, transforms[k, 8], transforms[k, 9], as_pillow, low, high, rescale,
                sample_centre, sample_scale, centre, gain,
            )  # fmt: skip
