"""Rows around those that cannot be made."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from penstock._errors import BatchError
from penstock._types import Indices
from penstock.batches._tolerance import RowFailed, Tolerance, make_rows


class Rows:
    """Writes the number of each row's sample; some samples fail, and with them those beside them in their group."""

    def __init__(self, bad: set[int], group: int) -> None:
        self.bad, self.group = bad, group
        self.rows: dict[int, int] = {}

    def make(self, rows: slice, samples: Indices) -> None:
        for first in range(rows.start, rows.stop, self.group):
            group = range(first, min(first + self.group, rows.stop))
            for row in group:
                if int(samples[row]) in self.bad:
                    raise RowFailed(row, first, BatchError(f"sample {samples[row]}"))
            self.rows |= {row: int(samples[row]) for row in group}


@given(st.data())
def test_every_row_is_made_left_out_or_replaced(data: st.DataObject) -> None:
    samples = data.draw(st.integers(1, 30))
    bad = data.draw(st.sets(st.integers(0, samples - 1)))
    indices = np.array(data.draw(st.permutations(range(samples))))[: data.draw(st.integers(1, samples))]
    kinds = np.array(data.draw(st.lists(st.integers(0, 2), min_size=samples, max_size=samples)))
    rows = Rows(bad, data.draw(st.integers(1, 5)))
    good = [index for index in indices.tolist() if index not in bad]

    skipping = Tolerance("skip")
    if not good:
        with pytest.raises(RowFailed):
            make_rows(rows.make, indices, samples, skipping)
    else:
        made = make_rows(rows.make, indices, samples, skipping)
        kept = range(len(indices)) if made.kept is None else made.kept.tolist()
        assert made.indices.tolist() == good == [rows.rows[row] for row in kept]
        assert sorted(one.index for one in made.bad) == sorted(bad.intersection(indices.tolist()))

    def stand_in(index: int) -> int | None:
        around = [(index + 1 + k) % samples for k in range(samples - 1)]
        alone = (kinds == kinds[index]).sum() == 1
        return next((k for k in around if k not in bad and (alone or kinds[k] == kinds[index])), None)

    expected = [index if index not in bad else stand_in(index) for index in indices.tolist()]
    rows.rows.clear()
    if None in expected:
        with pytest.raises(RowFailed):
            make_rows(rows.make, indices, samples, Tolerance("substitute", kinds))
    else:
        made = make_rows(rows.make, indices, samples, Tolerance("substitute", kinds))
        assert made.indices.tolist() == expected == [rows.rows[row] for row in range(len(indices))]
        assert {one.index: one.stand_in for one in made.bad} == {
            index: other for index, other in zip(indices.tolist(), expected, strict=True) if index in bad
        }


def test_labels_of_every_kind_tell_who_may_stand_in() -> None:
    def kinds(labels: object) -> list[int] | None:
        tolerance = Tolerance.of("substitute", labels)
        assert tolerance is not None
        return None if tolerance.kinds is None else tolerance.kinds.tolist()

    assert kinds(np.array([2, 0, 2])) == [1, 0, 1]
    assert kinds(np.eye(3)[[0, 2, 0]]) == [1, 0, 1]
    assert kinds([[1, 2], 0, [1, 2]]) == [0, 1, 0]
    assert kinds(np.array([0.5, 0.25, 0.125])) is None
    assert kinds(np.array([20.5, 21, 21, 33])) is None
    assert kinds(np.zeros((4, 8, 8, 1))) is None
    assert kinds(np.array([None, "a"], object)) is None
    assert kinds(None) is None
    assert Tolerance.of("raise", [1]) is None
