"""What an image costs a core: fitted to readings."""

from __future__ import annotations

import json
from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.optimize import nnls

from penstock.planning._rates import Cost, Rates, Reading, foretold_s
from rates import COST, rates, reading, readings
from strategies import examples

COSTS = st.builds(
    Cost, *(st.floats(low, 100 * low) for low in (1e-5, 1e-9, 1e-9, 1e-9, 1e-4, 1e-5))
)  # fmt: skip


@given(COSTS)
@examples(50)
def test_a_fit_finds_the_costs_that_readings_were_made_of(cost: Cost) -> None:
    found = Cost.fitted(readings(cost))
    assert astuple(found) == pytest.approx(astuple(cost), rel=1e-4)
    unseen = reading(cost, 256, 500_000, 200_000, 90_000)
    assert foretold_s(found, unseen) == pytest.approx(unseen.seconds, rel=1e-4)


@given(st.lists(st.floats(0.5, 2), min_size=16, max_size=16))
@examples(50)
def test_no_cost_is_below_zero_and_no_other_choice_fits_better(noise: list[float]) -> None:
    """SciPy's solver is the truth."""
    noisy = [replace(r, decode_s=r.decode_s * by) for r, by in zip(readings(), noise, strict=True)]
    found = Cost.fitted(noisy)
    assert min(astuple(found)) >= 0
    table = np.array([(1, r.batch_size, r.batch_size * r.source_px, r.batch_size * r.source_bytes) for r in noisy])
    table /= np.array([r.decode_s for r in noisy])[:, None]
    scale = table.max(axis=0)
    _, distance = nnls(table / scale, np.ones(len(noisy)))
    mine = (found.decode_batch_s, found.image_s, found.source_px_s, found.source_byte_s)
    assert np.linalg.norm(table @ mine - 1) == pytest.approx(distance, rel=1e-6, abs=1e-9)


def test_the_error_is_that_of_readings_foretold_from_the_others() -> None:
    assert rates().error == pytest.approx(0, abs=1e-6)
    assert rates().residual == pytest.approx(0, abs=1e-6)
    noise = np.random.default_rng(0).uniform(0.8, 1.2, len(readings()))
    noisy = replace(
        rates(), readings=tuple(replace(r, decode_s=r.decode_s * by) for r, by in zip(readings(), noise, strict=True))
    )
    assert 0.02 < noisy.residual < noisy.error < 0.3  # a reading that the fit has seen is foretold better


def test_rates_are_read_as_they_were_written() -> None:
    written = json.loads(rates().to_json())
    assert Rates.of(written) == rates()
    assert written["fitted"]["source_px_s"] == pytest.approx(COST.source_px_s)
    written["fitted"]["source_px_s"] = 1  # what is fitted follows from the readings
    assert Rates.of(written).cost == rates().cost


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 7}, "version 7, where 1 is known"),
        ({"readings": []}, "4 readings or more"),
        ({"readings": [{}]}, "these are no rates"),
        ({"cpu": None, "readings": [vars(reading(COST, 1, 1, 1, 1)) | {"decode_s": -1}] * 4}, "not negative"),
        ({"readings": [vars(reading(COST, 1, 1, 1, 1)) | {"spread": float("nan")}] * 4}, "not negative"),
        ({"readings": [vars(reading(COST, 1, 1, 1, 1)) | {"batch_size": 0}] * 4}, "4 readings or more"),
        ({"readings": [vars(reading(COST, 1, 1, 1, 1)) | {"decode_s": "long"}] * 4}, "could not convert"),
    ],
)
def test_what_is_no_rates_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Rates.of(json.loads(rates().to_json()) | change)
    with pytest.raises(ValueError, match="these are no rates"):
        Rates.of([])


def test_the_rates_that_come_with_penstock_are_of_a_machine_that_they_name() -> None:
    shipped = Rates.shipped()
    assert shipped.cpu
    assert shipped.date > "2026"
    assert all(isinstance(r, Reading) and r.batches > 5 for r in shipped.readings)
    assert shipped.residual < 0.2
    decode_s, transform_s = shipped.cost.decode_s(1, 187_500, 110_000), shipped.cost.transform_s(1, 224**2)
    assert 1e-4 < transform_s < decode_s < 1e-2  # of a core, for one of ImageNet's
