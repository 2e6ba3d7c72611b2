"""Which workers are measured, in which order, and which are recommended, as on quiet and on busy machines."""

from __future__ import annotations

import sys

import pytest

from penstock.cli._file_reads import FileReads, reads_since, summed
from penstock.cli._tune_choice import (
    Choice,
    Limit,
    Measured,
    choose,
    fastest,
    limit_of,
    most_workers,
    next_workers,
    workers_between,
)
from penstock.cli._tune_rounds import Rounds

# Images per second of each round, hand-written, as quiet and busy machines give them.
TWO_CORES_FROM_CACHE = {0: (880, 905, 870), 1: (893, 901, 880), 2: (1742, 1760, 1701), 4: (1760, 1775, 1722)}
SLOW_STORAGE = {0: (41, 44), 1: (43, 44), 2: (86, 88), 4: (170, 177), 8: (311, 330), 16: (318, 331)}
ONE_HICCUP = {0: (500,), 1: (510, 505, 498), 2: (1000, 12, 1010), 4: (1005, 1001, 990)}
ONE_CORE = {0: (400, 410), 1: (395, 402), 2: (401, 404)}


def measured(rates: dict[int, tuple[float, ...]], own: float = 1.9, others: float = 0.0) -> list[Measured]:
    return [
        Measured(workers, tuple(values), (own,) * len(values), (others,) * len(values))
        for workers, values in rates.items()
    ]


@pytest.mark.parametrize(
    ("rates", "workers"), [(TWO_CORES_FROM_CACHE, 2), (SLOW_STORAGE, 8), (ONE_HICCUP, 2), (ONE_CORE, 1)]
)
def test_the_fewest_workers_within_5_percent_of_the_best_are_chosen(rates, workers):
    choice = choose(measured(rates))
    assert (choice.workers, choice.keeps_up) == (workers, None)


@pytest.mark.parametrize(
    ("needed", "workers", "keeps_up"),
    [
        (10, 1, True),
        (78, 2, True),
        (80, 4, True),  # 2 workers give 87: less than a tenth to spare
        (290, 8, True),
        (300, 8, False),  # 16 workers are hardly faster, and none are fast enough
        (5000, 8, False),
    ],
)
def test_a_model_gets_the_fewest_workers_that_keep_up_with_a_tenth_to_spare(needed, workers, keeps_up):
    choice = choose(measured(SLOW_STORAGE), needed)
    assert (choice.workers, choice.keeps_up) == (workers, keeps_up)


def test_no_workers_are_never_recommended():
    assert choose(measured({0: (900,), 1: (500,)}), 100) == Choice(1, 500, True)
    assert choose(measured({0: (900,)})) == Choice(1, 900, None)


@pytest.mark.parametrize(
    ("own", "others", "from_disk", "keeps_up", "limit"),
    [
        (1.9, 0.0, False, None, Limit.CPU),
        (1.9, 0.1, True, False, Limit.CPU),
        (1.2, 0.7, False, None, Limit.OTHERS),
        (0.4, 0.0, True, None, Limit.STORAGE),
        (0.4, 0.0, False, None, Limit.UNKNOWN),
        (1.9, 0.0, True, True, Limit.MODEL),
    ],
)
def test_what_limits(own, others, from_disk, keeps_up, limit):
    (best,) = measured({2: (100, 100)}, own, others)
    assert limit_of(best, 2, from_disk=from_disk, keeps_up=keeps_up) is limit


def test_the_fastest_is_so_by_its_median():
    assert fastest(measured({1: (1, 1, 100), 2: (2, 2, 2)})).workers == 2


# --- in which order ---


@pytest.mark.parametrize(
    ("rates", "workers"),
    [
        ({}, 0),
        ({0: 100}, 1),
        ({0: 100, 1: 90}, 2),
        ({0: 100, 1: 90, 2: 104}, None),
        ({0: 100, 1: 90, 2: 106}, 4),
        ({0: 100, 1: 100, 2: 200, 4: 390}, 8),
        ({0: 100, 1: 100, 2: 200, 4: 205}, None),
    ],
)
def test_twice_as_many_are_measured_as_long_as_they_gain_5_percent(rates, workers):
    assert next_workers(rates, 16) == workers


def test_there_is_an_end_to_how_many_are_measured():
    assert [most_workers(cpus) for cpus in (1, 2, 6)] == [4, 8, 24]
    assert next_workers({0: 1, 1: 1, 2: 2, 4: 4, 8: 8, 16: 16}, 24) == 24
    assert next_workers({0: 1, 1: 1, 2: 2, 4: 4, 8: 8, 16: 16, 24: 24}, 24) is None


@pytest.mark.parametrize(
    ("rates", "workers"),
    [({4: 100, 8: 150, 16: 140}, 12), ({1: 50, 2: 100, 4: 95}, 3), ({0: 9, 1: 10, 2: 5}, None), ({0: 1}, None)],
)
def test_the_best_two_have_one_measured_between_them(rates, workers):
    assert workers_between(rates) == workers


class Machine:
    """Two cores, on a clock that moves only while something is measured."""

    def __init__(self, reading_s: float) -> None:
        self.now_s, self.reading_s = 0.0, reading_s

    def measure(self, workers: int) -> float:
        self.now_s += self.reading_s
        return 100.0 * min(max(1, workers), 2)

    def run(self, seconds: float) -> list[int]:
        return list(Rounds(self.measure, 8, seconds, lambda: self.now_s).run())


def test_numbers_of_workers_are_measured_in_turns_there_and_back():
    assert Machine(1).run(30)[:14] == [0, 1, 2, 4, 3, 4, 3, 2, 1, 0, 0, 1, 2, 3]


def test_nothing_is_begun_that_would_not_be_done_in_time():
    for seconds in range(2, 60):
        machine = Machine(1.5)
        machine.run(seconds)
        assert seconds - 5 * 1.5 <= machine.now_s <= seconds


def test_one_reading_is_taken_however_little_time_there_is():
    assert Machine(100).run(1) == [0]


def test_a_reading_that_was_too_low_does_not_end_the_search():
    rates = iter([100, 100, 80])

    class Disturbed(Machine):
        def measure(self, workers: int) -> float:
            return next(rates, super().measure(workers))

    assert Disturbed(1).run(60)[:6] == [0, 1, 2, 2, 1, 0]
    assert 4 in Disturbed(1).run(60)


# --- where files come from ---


@pytest.mark.skipif(sys.platform != "linux", reason="others do not tell the disk's bytes apart")
def test_bytes_that_are_read_are_counted(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(1_000_000))
    before = FileReads.now()
    path.read_bytes()
    reads = reads_since(before)
    assert reads is not None
    assert 1_000_000 <= reads.all_bytes < 1_100_000


def test_reads_that_cannot_be_told_make_no_sum():
    assert summed([FileReads(1, 2), FileReads(3, 4)]) == FileReads(4, 6)
    assert summed([FileReads(1, 2), None]) is None
    assert summed([]) is None
    assert reads_since(None) is None
