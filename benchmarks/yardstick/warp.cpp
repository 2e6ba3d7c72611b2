// A yardstick for penstock's kernels, and no part of the package: the same work written plainly in C++.
//
// uint8 RGB to float32, order 1, fill mode "nearest", then (value * rescale - centre) * gain. The image is packed into
// one uint32 a pixel with a border of one pixel, and each row is made in three passes over small buffers (cells, gather,
// interpolate and write), so that the compiler can vectorise them.
//
//     g++ -O3 -march=native -fno-trapping-math -shared -fPIC -o warp.so warp.cpp

#include <algorithm>
#include <cstdint>
#include <vector>

template <int shift> static inline float channel(std::uint32_t pixel) {
    return static_cast<float>(static_cast<std::int32_t>(pixel >> shift & 255));
}

template <int shift>
static inline float between(std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t d, float f_row,
                            float f_column) {
    const float p = channel<shift>(a), q = channel<shift>(b), s = channel<shift>(c), t = channel<shift>(d);
    const float top = p + f_column * (q - p), bottom = s + f_column * (t - s);
    return top + f_row * (bottom - top);
}

extern "C" void warp_rgb(const std::uint8_t *images, int count, int height, int width, const double *affines,
                         float rescale, const float *centre, const float *gain, float *out) {
    const int stride = width + 2;
    std::vector<std::uint32_t> plane_memory(static_cast<std::size_t>(height + 2) * stride);
    std::vector<std::int32_t> index_memory(width);
    std::vector<std::uint32_t> neighbour_memory(static_cast<std::size_t>(width) * 4);
    std::vector<float> row_memory(width), column_memory(width);
    const float c0 = centre[0], c1 = centre[1], c2 = centre[2], g0 = gain[0], g1 = gain[1], g2 = gain[2];

    for (int k = 0; k < count; ++k) {
        const std::uint8_t *__restrict image = images + static_cast<std::size_t>(k) * height * width * 3;
        const double *affine = affines + static_cast<std::size_t>(k) * 8;
        std::uint32_t *__restrict plane = plane_memory.data();

        for (int y = 0; y < height; ++y) {
            std::uint32_t *__restrict target = plane + static_cast<std::size_t>(y) * stride;
            const std::uint8_t *__restrict source = image + static_cast<std::size_t>(y) * width * 3;
            for (int x = 0; x < width; ++x)
                target[x] = source[3 * x] | source[3 * x + 1] << 8 | source[3 * x + 2] << 16;
            target[width] = target[width + 1] = target[width - 1];
        }
        for (int y = height; y < height + 2; ++y)
            std::copy_n(plane + static_cast<std::size_t>(height - 1) * stride, stride,
                        plane + static_cast<std::size_t>(y) * stride);

        const double a0 = affine[0], a1 = affine[1], a2 = affine[2], a3 = affine[3], a4 = affine[4], a5 = affine[5];
        const bool flip_columns = affine[6] != 0, flip_rows = affine[7] != 0;
        for (int y = 0; y < height; ++y) {
            std::int32_t *__restrict index = index_memory.data();
            float *__restrict f_row = row_memory.data(), *__restrict f_column = column_memory.data();
            const double r = flip_rows ? height - 1 - y : y;
            const double column_start = flip_columns ? width - 1 : 0, column_step = flip_columns ? -1 : 1;
            for (int x = 0; x < width; ++x) {
                const double c = column_start + column_step * x;
                double at_row = a2 + r * a0 + c * a1, at_column = a5 + r * a3 + c * a4;
                at_row = std::min(std::max(at_row, 0.0), height - 1.0);
                at_column = std::min(std::max(at_column, 0.0), width - 1.0);
                const std::int32_t whole_row = static_cast<std::int32_t>(at_row);
                const std::int32_t whole_column = static_cast<std::int32_t>(at_column);
                index[x] = whole_row * stride + whole_column;
                f_row[x] = static_cast<float>(at_row - whole_row);
                f_column[x] = static_cast<float>(at_column - whole_column);
            }
            const std::uint32_t *__restrict pixels = plane;
            std::uint32_t *__restrict n00 = neighbour_memory.data(), *__restrict n01 = n00 + width;
            std::uint32_t *__restrict n10 = n01 + width, *__restrict n11 = n10 + width;
            for (int x = 0; x < width; ++x) {
                n00[x] = pixels[index[x]];
                n01[x] = pixels[index[x] + 1];
                n10[x] = pixels[index[x] + stride];
                n11[x] = pixels[index[x] + stride + 1];
            }
            float *__restrict target = out + (static_cast<std::size_t>(k) * height + y) * width * 3;
            for (int x = 0; x < width; ++x) {
                const float red = between<0>(n00[x], n01[x], n10[x], n11[x], f_row[x], f_column[x]);
                const float green = between<8>(n00[x], n01[x], n10[x], n11[x], f_row[x], f_column[x]);
                const float blue = between<16>(n00[x], n01[x], n10[x], n11[x], f_row[x], f_column[x]);
                target[3 * x] = (red * rescale - c0) * g0;
                target[3 * x + 1] = (green * rescale - c1) * g1;
                target[3 * x + 2] = (blue * rescale - c2) * g2;
            }
        }
    }
}
