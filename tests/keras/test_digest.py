"""`flow.digest`: one text for all bytes of an epoch."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from penstock import ImageDataGenerator, feed
from penstock.feeding._digest import BatchDigest

X = np.random.default_rng(0).integers(0, 256, (22, 9, 7, 3), np.uint8)
Y = np.arange(22)


def make_flow(**keywords: Any) -> Any:
    return ImageDataGenerator(rotation_range=30, zoom_range=0.2).flow(X, Y, 4, seed=3, **keywords)


def by_hand(batches: list[tuple[Any, ...]]) -> str:
    """The recipe that the docstring gives, written down once more."""
    taken = hashlib.blake2b(digest_size=16)
    for batch in batches:
        for array in batch:
            taken.update(f"{array.dtype.str} {','.join(map(str, array.shape))}\n".encode() + array.tobytes())
    return taken.hexdigest()


@pytest.mark.parametrize(
    "how",
    [{"workers": 0}, {"workers": 1}, {"workers": 3}, {"workers": 2, "use_multiprocessing": True}, {"workers": "auto"}],
    ids=str,
)
def test_a_digest_is_that_of_the_streams_batches_whatever_makes_them(how: Any) -> None:
    with make_flow(workers=0) as flow:
        epochs = [[next(flow) for _ in range(len(flow))] for _ in range(2)]
    with make_flow(**how) as flow:
        assert flow.digest(1) == by_hand(epochs[1])
        if not flow.use_multiprocessing:  # which start for each digest
            assert flow.digest() == flow.digest(batches=99) == by_hand(epochs[0])
            assert flow.digest(batches=2) == by_hand(epochs[0][:2])


@pytest.mark.parametrize("semantics", ["corrected", "keras"])
def test_every_setting_that_changes_a_byte_changes_the_digest(semantics: str) -> None:
    def digest(batch_size: int = 4, seed: int = 3, y: Any = Y, **settings: Any) -> str:
        generator = ImageDataGenerator(**{"rotation_range": 30} | settings, semantics=semantics)
        with generator.flow(X, y, batch_size, seed=seed, workers=0) as flow:
            return flow.digest()

    others = [digest(5), digest(seed=4), digest(y=Y + 1), digest(y=Y.astype("int32")), digest(rotation_range=31)]
    assert len({digest(), *others}) == 6
    assert digest() == digest()


def test_a_digest_moves_nothing(tmp_path: Path) -> None:
    with make_flow(workers=2, save_to_dir=str(tmp_path)) as flow, make_flow(workers=2) as other:
        for one in (flow, other):
            next(one)
        saved = len(list(tmp_path.iterdir()))
        before = flow.stats.batches, flow.stats.wait_s, flow.total_batches_seen, flow.worker_ids, flow.state_dict()
        flow.digest(), flow.digest(2)
        after = flow.stats.batches, flow.stats.wait_s, flow.total_batches_seen, flow.worker_ids, flow.state_dict()
        assert before == after
        assert len(list(tmp_path.iterdir())) == saved
        np.testing.assert_array_equal(next(flow)[0], next(other)[0])


def test_a_digest_leaves_global_generators_where_they_are() -> None:
    def noisy(image: Any) -> Any:
        return image + np.random.random() + random.random()

    with ImageDataGenerator(preprocessing_function=noisy).flow(X, Y, 4, seed=3, workers=0) as flow:
        np.random.seed(1), random.seed(1)
        expected = next(flow)[0]
        flow.reset()
        np.random.seed(1), random.seed(1)
        flow.load_state_dict({**flow.state_dict(), "epoch": 0, "samples": 0})
        flow.digest()
        np.testing.assert_array_equal(next(flow)[0], expected)


def test_a_digest_is_of_whole_epochs_where_a_flow_was_resumed_in_mid_epoch() -> None:
    with make_flow(workers=0) as flow, make_flow(workers=0) as other:
        next(flow)
        state = flow.state_dict()
        other.load_state_dict({**state, "samples": 3})
        assert other.digest() == flow.digest()


def test_labels_that_are_python_objects_count() -> None:
    pandas = pytest.importorskip("pandas")
    digests = set()
    for words in (["a", "b"], ["a", "c"]):
        digest = BatchDigest()
        digest.add([np.array(words, object), pandas.Series(words).to_numpy(object)])
        digests.add(digest.hex)
    assert len(digests) == 2
    with pytest.raises(TypeError, match=r"part 1 of a batch holds other objects: ndarray of dtype object"):
        BatchDigest().add([np.zeros(2), np.array([object()])])


def test_a_sequence_has_a_digest() -> None:
    batches = [(np.full((3, 2), k, "float32"), {"a": np.arange(k), "b": None}) for k in range(3)]
    with feed(batches, workers=0) as one, feed(batches, workers=2) as other, feed(batches[:2], workers=0) as shorter:
        assert one.digest() == other.digest() == one.digest(5)
        assert shorter.digest() != one.digest()
        assert shorter.digest() == one.digest(batches=2)


class Changing(keras.utils.PyDataset):
    def __init__(self) -> None:
        super().__init__()
        self.offset = 0

    def __len__(self) -> int:
        return 2

    def __getitem__(self, number: int) -> Any:
        return np.array([number + self.offset])

    def on_epoch_end(self) -> None:
        self.offset += 10


def test_of_a_sequence_with_hooks_only_the_epoch_that_has_begun_has_one() -> None:
    with feed(Changing(), workers=2) as flow:
        with pytest.raises(ValueError, match=r"no epoch has begun yet\. Received: 0"):
            flow.digest()
        first = [next(flow), next(flow)]
        assert flow.digest() == by_hand([(batch,) for batch in first])
        next(flow)
        with pytest.raises(ValueError, match=r"on_epoch_end of Changing may change .* epoch 1 has begun. Received: 0"):
            flow.digest(0)
        assert flow.digest(1) == by_hand([(np.array([10]),), (np.array([11]),)])


def test_what_has_no_digest_says_why() -> None:
    with make_flow(workers=0) as flow:
        with pytest.raises(ValueError, match="`epoch` should be from 0 to"):
            flow.digest(-1)
        with pytest.raises(ValueError, match="`batches` should be at least 1"):
            flow.digest(batches=0)
    with (
        feed(lambda: iter([np.zeros(1)])) as batches,
        pytest.raises(TypeError, match="a generator yields each of them"),
    ):
        batches.digest()
