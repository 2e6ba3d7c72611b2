"""Randomness: (seed, epoch, sample) to parameters, and epochs to orders."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, strategies as st
from keras.src.legacy.preprocessing.image import ImageDataGenerator as KerasGenerator
from scipy import stats

from penstock.image._augment import Augmentation, ShiftRange
from penstock.image._draw import Column, Domain, as_dict, draw, draw_as_keras, from_dict, permutation
from strategies import epochs, examples, indices, number_seeds, seeds

EVERYTHING = Augmentation(
    rotation_deg=40,
    shift_horizontal=ShiftRange.parse(0.25, "width_shift_range"),
    shift_vertical=ShiftRange.parse([1, 3, 7], "height_shift_range"),
    shear_deg=15,
    zoom=(0.7, 1.6),
    flip_horizontal=True,
    flip_vertical=True,
    channel_shift=30,
    brightness=(0.2, 1.9),
)
BOUNDS = {
    Column.theta: (-40, 40),
    Column.tx: (-0.25 * 24, 0.25 * 24),
    Column.ty: (-7, 7),
    Column.shear: (-15, 15),
    Column.zx: (0.7, 1.6),
    Column.zy: (0.7, 1.6),
    Column.flip_horizontal: (0, 1),
    Column.flip_vertical: (0, 1),
    Column.channel_shift_intensity: (-30, 30),
    Column.brightness: (0.2, 1.9),
}
HEIGHT, WIDTH = 18, 24


def rows(seed: int, epoch: int, which: Any, augmentation: Augmentation = EVERYTHING) -> np.ndarray:
    return draw(augmentation, seed, epoch, np.asarray(which, np.int64), HEIGHT, WIDTH)


def numpy_words(seed: int, domain: int, epoch: int, index: int, count: int) -> np.ndarray:
    """NumPy's own Philox, at the counter that `draw` documents."""
    key, counter = np.array([seed, domain], np.uint64), np.array([0, index, epoch, 0], np.uint64)
    return np.random.Philox(key=key, counter=counter).random_raw(count)


def twin(seed: int, epoch: int, index: int) -> list[float]:
    """`EVERYTHING`'s row, one word after the other."""
    words = numpy_words(seed, 0, epoch, index, 12)
    share = [float(word >> np.uint64(11)) / 2**53 for word in words]

    def between(word: int, low: float, high: float) -> float:
        return low + (high - low) * share[word]

    return [
        between(0, -40, 40),
        between(1, -6, 6),
        [1, 3, 7][int(3 * share[3])] * (1 if share[4] < 0.5 else -1),
        between(5, -15, 15),
        between(6, 0.7, 1.6),
        between(7, 0.7, 1.6),
        float(share[8] < 0.5),
        float(share[9] < 0.5),
        between(10, -30, 30),
        between(11, 0.2, 1.9),
    ]


@examples(150)
@given(seeds, epochs, st.lists(indices, min_size=1, max_size=4))
@example(2**64 - 1, 2**40, [2**62])
@example(0, 0, [0])
def test_rows_are_numpys_philox_words_in_the_documented_layout(seed: int, epoch: int, which: list[int]) -> None:
    np.testing.assert_array_equal(rows(seed, epoch, which), [twin(seed, epoch, index) for index in which])


@examples(50)
@given(seeds, epochs, st.integers(1, 40), st.randoms(use_true_random=False))
def test_a_sample_draws_the_same_in_any_batch_and_order(seed: int, epoch: int, count: int, random: Any) -> None:
    whole = rows(seed, epoch, np.arange(count))
    shuffled = list(range(count))
    random.shuffle(shuffled)
    cut = random.randint(0, count)
    for part in (shuffled[:cut], shuffled[cut:], shuffled):
        np.testing.assert_array_equal(rows(seed, epoch, part), whole[part])


@pytest.fixture(scope="module")
def many() -> np.ndarray:
    return rows(12345, 3, np.arange(20_000))


@pytest.mark.parametrize("column", Column)
def test_values_stay_in_their_range_and_reach_its_ends(many: np.ndarray, column: Column) -> None:
    low, high = BOUNDS[column]
    values = many[:, column]
    assert low <= values.min() <= low + 0.01 * (high - low)
    assert high >= values.max() >= high - 0.01 * (high - low)


@pytest.mark.parametrize(
    "column",
    [
        Column.theta,
        Column.tx,
        Column.shear,
        Column.zx,
        Column.zy,
        Column.channel_shift_intensity,
        Column.brightness,
    ],
)
def test_ranges_are_drawn_uniformly(many: np.ndarray, column: Column) -> None:
    low, high = BOUNDS[column]
    assert stats.kstest(many[:, column], stats.uniform(low, high - low).cdf).pvalue > 1e-3


def test_half_of_the_images_are_flipped(many: np.ndarray) -> None:
    for column in (Column.flip_horizontal, Column.flip_vertical):
        assert set(many[:, column]) == {0.0, 1.0}
        assert many[:, column].mean() == pytest.approx(0.5, abs=0.015)


def test_choices_and_their_signs_are_equally_likely(many: np.ndarray) -> None:
    values, counts = np.unique(many[:, Column.ty], return_counts=True)
    assert values.tolist() == [-7, -3, -1, 1, 3, 7]
    assert stats.chisquare(counts).pvalue > 1e-3


def test_columns_and_neighbouring_samples_are_independent(many: np.ndarray) -> None:
    between_columns = np.corrcoef(many.T) - np.eye(len(Column))
    assert np.abs(between_columns).max() < 0.03
    for lag in (1, 2, 3, 32):
        for column in Column:
            assert abs(np.corrcoef(many[:-lag, column], many[lag:, column])[0, 1]) < 0.03


def test_seeds_epochs_and_samples_share_no_stream() -> None:
    """Not even neighbours: no seed 6 in epoch 0 that repeats seed 5 in epoch 1."""
    drawn = {
        (seed, epoch): rows(seed, epoch, np.arange(40))[:, Column.theta]
        for seed, epoch in itertools.product([0, 1, 2, 3, 2**32, 2**63, 2**64 - 1], range(6))
    }
    everything = np.concatenate(list(drawn.values()))
    assert len(np.unique(everything)) == len(everything)
    for one, two in itertools.combinations(drawn.values(), 2):
        assert abs(np.corrcoef(one, two)[0, 1]) < 0.75


def test_one_setting_does_not_change_the_draws_of_another() -> None:
    which = np.arange(50)
    whole = rows(7, 2, which)
    for name, columns in {
        "rotation_deg": [Column.theta],
        "shift_horizontal": [Column.tx],
        "shift_vertical": [Column.ty],
        "shear_deg": [Column.shear],
        "zoom": [Column.zx, Column.zy],
        "flip_horizontal": [Column.flip_horizontal],
        "flip_vertical": [Column.flip_vertical],
        "channel_shift": [Column.channel_shift_intensity],
        "brightness": [Column.brightness],
    }.items():
        alone = rows(7, 2, which, Augmentation(**{name: getattr(EVERYTHING, name)}))
        np.testing.assert_array_equal(alone[:, columns], whole[:, columns])


def test_nothing_asked_for_is_nothing_drawn() -> None:
    np.testing.assert_array_equal(
        rows(3, 1, np.arange(20), Augmentation()), np.tile([0, 0, 0, 0, 1, 1, 0, 0, np.nan, np.nan], (20, 1))
    )


# --- shifts as Keras reads them -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [0.2, 1.0, 2.5, 1, 5, -3, -0.3, [0.1, 0.2], (0.25,), [-50, 50], [3], [1.5, 0.5], 0, 0.0, [], np.float32(0.4)],
    ids=repr,
)
def test_shifts_take_the_values_that_keras_gives_them(value: Any) -> None:
    """Sets of values for integers and lists, in pixels or shares of the side; a range for floats."""
    count = 3000
    keras = KerasGenerator(height_shift_range=value)
    np.random.seed(0)
    expected = np.array([keras.get_random_transform((WIDTH, WIDTH, 3))["tx"] for _ in range(count)], float)
    shift = ShiftRange.parse(value, "width_shift_range")
    for augmentation, column in (
        (Augmentation(shift_horizontal=shift), Column.tx),
        (Augmentation(shift_vertical=shift), Column.ty),
    ):
        got = draw(augmentation, 1, 0, np.arange(count), WIDTH, WIDTH)[:, column]
        if len(np.unique(expected)) < 50:
            assert set(got) == set(expected)
        else:
            assert stats.ks_2samp(got, expected).pvalue > 1e-3
            assert np.abs(got).max() == pytest.approx(np.abs(expected).max(), rel=0.01)


def test_shares_are_of_the_images_own_side() -> None:
    shift = ShiftRange.parse([0.5], "")
    transforms = rows(0, 0, np.arange(30), Augmentation(shift_horizontal=shift, shift_vertical=shift))
    assert set(transforms[:, Column.tx]) == {-WIDTH / 2, WIDTH / 2}
    assert set(transforms[:, Column.ty]) == {-HEIGHT / 2, HEIGHT / 2}


@pytest.mark.parametrize("value", ["0.2", [[1, 2]], float("nan"), [1, float("inf")], None])
def test_a_shift_that_is_none_is_refused_by_name(value: Any) -> None:
    with pytest.raises(ValueError, match="`width_shift_range` should"):
        ShiftRange.parse(value, "width_shift_range")


# --- Keras's own draws ----------------------------------------------------------------------------------------------

SHIFTS = st.sampled_from([0.0, 0.2, 1.0, 2.5, 1, 5, -3, [0.1, 0.2], (3,), [-50, 50], [0, 4]])


@examples(150)
@given(
    number_seeds,
    st.sampled_from([0, 30, -12.5]),
    SHIFTS,
    SHIFTS,
    st.sampled_from([0.0, 20.0]),
    st.sampled_from([0.0, 0.3, (0.8, 0.8), [0.5, 2.0]]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0.0, 40, -3.5]),
    st.sampled_from([None, (0.5, 1.5), [1.0, 1.0]]),
)
def test_keras_draws_come_in_keras_order_from_the_same_generator(
    seed: int, rotation: Any, width: Any, height: Any, shear: Any, zoom: Any, flip_h: bool, flip_v: bool,
    channel: Any, brightness: Any,
) -> None:  # fmt: skip
    """Three images after one another, so that a number drawn too few shows."""
    keras = KerasGenerator(
        rotation_range=rotation,
        width_shift_range=width,
        height_shift_range=height,
        shear_range=shear,
        zoom_range=zoom,
        horizontal_flip=flip_h,
        vertical_flip=flip_v,
        channel_shift_range=channel,
        brightness_range=brightness,
    )
    augmentation = Augmentation(
        rotation_deg=rotation,
        shift_horizontal=ShiftRange.parse(width, "width_shift_range"),
        shift_vertical=ShiftRange.parse(height, "height_shift_range"),
        shear_deg=shear,
        zoom=tuple(keras.zoom_range),
        flip_horizontal=flip_h,
        flip_vertical=flip_v,
        channel_shift=channel,
        brightness=brightness,
    )
    assert draws_as_keras(augmentation, seed) == keras_draws(keras, seed)


@pytest.mark.parametrize("nowhere", [[0], [0.0], (0,)], ids=repr)
def test_a_shift_that_leads_nowhere_still_takes_its_numbers_from_keras_generator(nowhere: Any) -> None:
    """Keras draws for any list that is not empty, so what it draws next depends on it."""
    keras = KerasGenerator(height_shift_range=nowhere, width_shift_range=nowhere, brightness_range=(0.5, 1.5))
    shift = ShiftRange.parse(nowhere, "height_shift_range")
    augmentation = Augmentation(shift_vertical=shift, shift_horizontal=shift, brightness=(0.5, 1.5))
    assert draws_as_keras(augmentation, 0) == keras_draws(keras, 0)


def keras_draws(keras: Any, seed: int) -> list[dict[str, Any]]:
    np.random.seed(seed)
    return [keras.get_random_transform((HEIGHT, WIDTH, 3)) for _ in range(3)]


def draws_as_keras(augmentation: Augmentation, seed: int) -> list[dict[str, Any]]:
    random = np.random.RandomState(seed)
    return [as_dict(np.array(draw_as_keras(augmentation, random, HEIGHT, WIDTH), float)) for _ in range(3)]


# --- dictionaries ---------------------------------------------------------------------------------------------------


def test_a_row_survives_the_way_through_keras_dict() -> None:
    for augmentation in (EVERYTHING, Augmentation(), Augmentation(brightness=(1, 2))):
        for row in rows(4, 0, np.arange(10), augmentation):
            np.testing.assert_array_equal(from_dict(as_dict(row)), row[None])


def test_missing_keys_and_none_change_nothing() -> None:
    nothing = [[0, 0, 0, 0, 1, 1, 0, 0, np.nan, np.nan]]
    np.testing.assert_array_equal(from_dict({}), nothing)
    np.testing.assert_array_equal(from_dict({"brightness": None, "channel_shift_intensity": None}), nothing)
    np.testing.assert_array_equal(from_dict({"theta": 5, "zy": 2}), [[5, 0, 0, 0, 1, 2, 0, 0, np.nan, np.nan]])


# --- orders ---------------------------------------------------------------------------------------------------------


@examples(100)
@given(st.integers(0, 300), seeds, epochs, st.integers(0, 1))
def test_a_permutation_sorts_samples_by_their_word_and_visits_each_once(
    length: int, seed: int, epoch: int, stream: int
) -> None:
    order = permutation(length, seed, epoch, stream)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(length))
    words = numpy_words(seed, 1, epoch, stream, length).tolist()
    assert order.tolist() == sorted(range(length), key=words.__getitem__)


def test_orders_differ_by_epoch_seed_and_stream() -> None:
    orders = [
        permutation(50, seed, epoch, stream).tolist()
        for seed, epoch, stream in itertools.product([0, 1, 2, 2**64 - 1], range(5), range(2))
    ]
    assert len({tuple(order) for order in orders}) == len(orders)


def test_every_sample_comes_at_every_place_equally_often() -> None:
    places = np.array([np.argsort(permutation(20, 9, epoch)) for epoch in range(2000)])
    counts = np.array([np.bincount(places[:, sample], minlength=20) for sample in range(20)])
    assert stats.chisquare(counts.reshape(-1)).pvalue > 1e-3


def test_domains_are_numbered_for_good() -> None:
    """Renumbering them would change every stream of every user."""
    assert {domain.name: domain.value for domain in Domain} == {
        "transforms": 0,
        "permutations": 1,
        "user_seeds": 2,
        "file_names": 3,
    }


def test_a_stream_is_the_same_in_every_version() -> None:
    """Numbers of release 0.1.0: a resumed run must meet the same augmentations after an update."""
    assert permutation(10, 42, 3).tolist() == [5, 1, 9, 2, 0, 6, 8, 3, 4, 7]
    np.testing.assert_allclose(
        rows(42, 3, [7])[0],
        [
            30.174383130022107,
            -5.630461955829379,
            -1,
            -14.048841674340714,
            1.0410986269452935,
            1.4844341886509727,
            1,
            1,
            21.218456852216505,
            0.6376350681151013,
        ],
        rtol=1e-14,
    )
