"""What figures mean."""

from __future__ import annotations

import pytest

from penstock.keras._verdict import FeedPeriod


@pytest.mark.parametrize(
    ("period", "advice"),
    [
        (FeedPeriod(100, 2, 90, 10, workers=2, cpus=8), "the model is the bottleneck: more workers will not help"),
        (FeedPeriod(100, 2, 90, 10, workers=0, cpus=8), "the model is the bottleneck: more workers will not help"),
        # 200 s of work; the model takes 50 s by itself, so four workers would keep up.
        (FeedPeriod(100, 50, 200, 10, workers=2, cpus=8), "try workers=4"),
        (FeedPeriod(100, 50, 200, 10, workers=2, cpus=3), "try workers=3"),
        (FeedPeriod(100, 50, 50, 10, workers=0, cpus=2), "try workers=1"),
        (
            FeedPeriod(100, 50, 200, 10, workers=2, cpus=2),
            "all 2 cores are taken: make batches cheaper, or try more workers if they wait for slow storage",
        ),
        (FeedPeriod(100, 50, 60, 10, workers=2, cpus=8), "workers were idle at times: try a larger max_queue_size"),
        (
            FeedPeriod(100, 50, 200, 10, workers=2, cpus=8, waits_for_lock=True),
            "batches are made in Python: try use_multiprocessing=True",
        ),
        (
            FeedPeriod(100, 50, 100, 10, workers=1, cpus=8, most_workers=1),
            "it is all the workers there can be: make batches cheaper",
        ),
        (
            FeedPeriod(100, 50, 200, 10, workers=2, cpus=8, most_workers=2),
            "these are all the workers there can be: make batches cheaper",
        ),
        (FeedPeriod(100, 50, 200, 10, workers=2, cpus=8, most_workers=3), "try workers=3"),
        (
            FeedPeriod(100, 50, 200, 10, workers=2, cpus=8, is_auto=True),
            'workers="auto" has found no better number: make batches cheaper',
        ),
        (FeedPeriod(100, 100, 200, 10, workers=2, cpus=8), "try workers=4"),
        (FeedPeriod(0, 0, 0, 0, workers=2, cpus=8), "the model is the bottleneck: more workers will not help"),
    ],
)
def test_the_advice_follows_from_the_figures(period: FeedPeriod, advice: str) -> None:
    assert period.advice() == advice


def test_the_line_says_what_was_measured() -> None:
    line = FeedPeriod(33.1, 12.4, 64.0, 100, workers=2, cpus=8).line("all 3 epochs")
    assert line == (
        "waited 37 % of all 3 epochs (12.4 s of 33.1 s) · workers 2 of 2 busy · "
        "a perfect feed would save at most 12 s · try workers=4"
    )
    assert FeedPeriod(2, 0.01, 1, 9, workers=0, cpus=2).line() == (
        "waited 0 % of the epoch (0.0 s of 2.0 s) · the model is the bottleneck: more workers will not help"
    )
    assert " · workers 2 of 2 busy · GPU 41 % · " in FeedPeriod(33.1, 12.4, 64, 9, 2, 8, gpu_percent=41.3).line()


def test_a_logger_gets_the_same_figures() -> None:
    figures = FeedPeriod(40, 10, 60, 80, workers=2, cpus=8).as_dict()
    assert figures == {
        "input_seconds": 40,
        "input_wait_s": 10,
        "input_wait_share": 0.25,
        "input_busy_workers": 1.5,
        "input_workers": 2,
        "input_batches_per_s": 2,
    }
    assert FeedPeriod(40, 10, 60, 80, 2, 8, gpu_percent=41.0).as_dict()["input_gpu_percent"] == 41
