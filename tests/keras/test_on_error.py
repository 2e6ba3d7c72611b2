"""Samples that cannot be made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from penstock import Flow, ImageDataGenerator
from penstock._errors import BatchError, ImageError

DAMAGED = ("cats/2.png", "dogs/0.png", "dogs/5.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of six files, each of one colour, of which three are damaged."""
    for number, name in enumerate(("cats", "dogs")):
        (tmp_path / name).mkdir()
        for k in range(6):
            Image.new("RGB", (9, 9), (10 * (6 * number + k), 0, 0)).save(tmp_path / name / f"{k}.png")
    for name in DAMAGED:
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[:40])
    return tmp_path


def flow_of(folder: Path, on_error: str, **options: Any) -> Flow:
    settings = {"target_size": (8, 8), "batch_size": 4, "shuffle": False, "seed": 1, "class_mode": "sparse", **options}
    return ImageDataGenerator().flow_from_directory(folder, on_error=on_error, **settings)


def numbers(images: np.ndarray) -> list[int]:
    """The files that images were made of, by their colour."""
    return (images[:, 0, 0, 0] / 10).round().astype(int).tolist()


def test_by_default_a_bad_file_is_an_error_with_its_path(folder: Path) -> None:
    with flow_of(folder, "raise") as flow, pytest.raises(ImageError, match=r"cats/2\.png"):
        next(flow)


@pytest.mark.parametrize("how", [{"workers": 0}, {"workers": 2}, {"workers": 2, "use_multiprocessing": True}])
def test_skip_makes_batches_without_bad_samples(folder: Path, how: dict[str, Any], capsys: Any) -> None:
    with flow_of(folder, "skip", **how) as flow:
        batches = [next(flow) for _ in range(3)]
        assert [numbers(x) for x, _ in batches] == [[0, 1, 3], [4, 5, 7], [8, 9, 10]]
        assert [y.tolist() for _, y in batches] == [[0, 0, 0], [0, 0, 1], [1, 1, 1]]
        assert (flow.stats.bad_samples, flow.stats.samples) == (3, 9)
        assert flow.stats.bad_paths == tuple(str(folder / name) for name in DAMAGED)
        assert [bad.index for bad in flow.stats.bad] == [2, 6, 11]
        again = [next(flow) for _ in range(3)]
        assert flow.stats.bad_samples == 6
        assert len(flow.stats.bad) == 3
    assert all(
        np.array_equal(a, b) for one, two in zip(batches, again, strict=True) for a, b in zip(one, two, strict=True)
    )
    assert capsys.readouterr().out.count("penstock: sample 2 is left out: ") == 1


@pytest.mark.parametrize("how", [{"workers": 0}, {"workers": 2}, {"workers": 2, "use_multiprocessing": True}])
def test_substitute_takes_the_next_good_sample_of_the_same_class(folder: Path, how: dict[str, Any]) -> None:
    with flow_of(folder, "substitute", **how) as flow:
        batches = [next(flow) for _ in range(3)]
        # 2 -> 3; 6 -> 7; 11 is the last dog, so on from the first: 6 is bad, too, hence 7.
        assert [numbers(x) for x, _ in batches] == [[0, 1, 3, 3], [4, 5, 7, 7], [8, 9, 10, 7]]
        assert [y.tolist() for _, y in batches] == [[0, 0, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1]]
        assert [(bad.index, bad.stand_in) for bad in flow.stats.bad] == [(2, 3), (6, 7), (11, 7)]


def test_a_stand_in_is_drawn_for_as_the_sample_that_it_stands_in_for(folder: Path) -> None:
    generator = ImageDataGenerator(channel_shift_range=9)
    (folder / "cats" / "2.png").write_bytes((folder / "cats" / "3.png").read_bytes())
    options: dict[str, Any] = {"target_size": (8, 8), "batch_size": 4, "shuffle": False, "seed": 1}
    with generator.flow_from_directory(folder, **options) as flow:
        expected = next(flow)[0]
    (folder / "cats" / "2.png").write_bytes(b"damaged")
    with generator.flow_from_directory(folder, on_error="substitute", **options) as flow:
        np.testing.assert_array_equal(next(flow)[0], expected)


def test_nothing_left_in_a_batch_is_an_error_that_says_what_to_do(folder: Path) -> None:
    with flow_of(folder, "skip", batch_size=1) as flow:
        next(flow), next(flow)
        with pytest.raises(ImageError, match=r"cats/2\.png") as caught:
            next(flow)
        assert "Use larger batches" in str(caught.value.__notes__)


def test_a_class_without_a_good_sample_is_an_error(folder: Path) -> None:
    with flow_of(folder, "substitute", workers=0) as flow:
        for k in range(6):
            (folder / "dogs" / f"{k}.png").unlink()
        next(flow)
        with pytest.raises(ImageError, match=r"dogs") as caught:
            next(flow)
        assert "no other sample of its class" in str(caught.value.__notes__)


@pytest.mark.parametrize("files", [1, 7, 20])
def test_one_call_for_several_files_finds_each_bad_one(tmp_path: Path, files: int) -> None:
    (tmp_path / "a").mkdir()
    for k in range(files):
        Image.new("RGB", (9, 9), (10 * k, 0, 0)).save(tmp_path / "a" / f"{k:02}.jpg", quality=100)
    for k in range(0, files, 3):
        (tmp_path / "a" / f"{k:02}.jpg").unlink()
        (tmp_path / "a" / f"{k:02}.jpg").write_bytes(b"\xff\xd8\xff nothing")
    (tmp_path / "a" / "zz.jpg").write_bytes(b"")
    flow = ImageDataGenerator().flow_from_directory(
        tmp_path, (8, 8), batch_size=files + 1, shuffle=False, on_error="skip", class_mode=None
    )
    with flow:
        if files == 1:
            with pytest.raises(ImageError):
                next(flow)
        else:
            assert numbers(next(flow)) == [k for k in range(files) if k % 3]


def test_a_function_that_fails_on_a_sample_of_an_array(capsys: Any) -> None:
    x = np.arange(12, dtype="uint8").repeat(4 * 4 * 3).reshape(12, 4, 4, 3)
    y = np.arange(12) % 3

    def fussy(image: Any) -> Any:
        if image[0, 0, 0] in (4, 7):
            raise ArithmeticError("not this one")
        return image

    generator = ImageDataGenerator(preprocessing_function=fussy)
    options: dict[str, Any] = {"batch_size": 6, "shuffle": False, "sample_weight": np.arange(12.0)}
    with generator.flow(x, y, on_error="skip", **options) as flow:
        images, labels, weights = next(flow)
        assert images[:, 0, 0, 0].tolist() == weights.tolist() == [0, 1, 2, 3, 5]
        assert labels.tolist() == [0, 1, 2, 0, 2]
        assert next(flow)[0][:, 0, 0, 0].tolist() == [6, 8, 9, 10, 11]
        assert "ArithmeticError: not this one" in flow.stats.bad[0].reason
        assert flow.stats.bad_paths == ()
    with generator.flow(x, y, on_error="substitute", **options) as flow:
        images, labels, weights = next(flow)
        # 4 is of class 1, as 7, which is bad, and 10.
        assert images[:, 0, 0, 0].tolist() == weights.tolist() == [0, 1, 2, 3, 10, 5]
        assert labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_numbers_to_predict_are_no_classes() -> None:
    x = np.arange(6, dtype="uint8").repeat(12).reshape(6, 2, 2, 3)

    def fussy(image: Any) -> Any:
        if image[0, 0, 0] == 1:
            raise ArithmeticError
        return image

    flow = ImageDataGenerator(preprocessing_function=fussy).flow(
        x, np.arange(6.0), shuffle=False, on_error="substitute"
    )
    with flow:
        assert next(flow)[1].tolist() == [0, 2, 2, 3, 4, 5]


def test_a_function_that_always_fails_ends_in_an_error() -> None:
    flow = ImageDataGenerator(preprocessing_function=lambda image: 1 / 0).flow(
        np.zeros((300, 2, 2, 3), "uint8"), on_error="substitute"
    )
    with flow, pytest.raises(BatchError, match="ZeroDivisionError"):
        next(flow)


def test_keras_draws_of_the_other_rows_do_not_change(folder: Path) -> None:
    for name in DAMAGED[1:]:
        (folder / name).write_bytes((folder / "dogs" / "1.png").read_bytes())
    generator = ImageDataGenerator(channel_shift_range=9, semantics="keras")
    options: dict[str, Any] = {"target_size": (8, 8), "batch_size": 4, "shuffle": True, "seed": 1}
    (folder / "cats" / "2.png").write_bytes((folder / "cats" / "1.png").read_bytes())
    with generator.flow_from_directory(folder, **options) as flow:
        expected = [next(flow)[0] for _ in range(6)]
        orders = [flow._plan.order(epoch) for epoch in range(2)]
    (folder / "cats" / "2.png").write_bytes(b"damaged")
    with generator.flow_from_directory(folder, on_error="skip", **options) as flow:
        for position, whole in enumerate(expected):
            epoch, number = divmod(position, 3)
            own = orders[epoch][4 * number : 4 * number + 4]
            np.testing.assert_array_equal(next(flow)[0], whole[own != 2])


def test_training_goes_on_with_fewer_rows_in_a_batch(folder: Path) -> None:
    import keras

    model = keras.Sequential([keras.layers.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with flow_of(folder, "skip", shuffle=True) as flow:
        model.fit(flow, epochs=2, verbose=0)
        assert flow.stats.samples >= 18


@pytest.mark.parametrize("word", ["ignore", None, True])
def test_other_words_are_refused(word: Any) -> None:
    with pytest.raises(ValueError, match="`on_error` should be"):
        ImageDataGenerator().flow(np.zeros((4, 2, 2, 3)), on_error=word)


def test_a_sampler_of_old_code_gets_the_labels_of_the_samples_that_are_there() -> None:
    x = np.arange(6, dtype="uint8").repeat(12).reshape(6, 2, 2, 3)
    labels = np.array([f"label {k}" for k in range(6)], object)

    def fussy(image: Any) -> Any:
        if image[0, 0, 0] == 1:
            raise ArithmeticError
        return image

    for on_error, kept in (("skip", [0, 2]), ("substitute", [0, 2, 2])):
        flow = ImageDataGenerator(preprocessing_function=fussy).flow(x, labels, 3, shuffle=False, on_error=on_error)
        with flow:
            images, got = flow._get_batches_of_transformed_samples(np.arange(3))
            assert images[:, 0, 0, 0].tolist() == kept
            assert got.tolist() == [f"label {k}" for k in kept]


def test_a_rank_does_not_stop_over_a_bad_sample_that_does_not_count() -> None:
    x = np.arange(7, dtype="uint8").repeat(12).reshape(7, 2, 2, 3)

    def fussy(image: Any) -> Any:
        if image[0, 0, 0] == 6:
            raise ArithmeticError
        return image

    generator = ImageDataGenerator(preprocessing_function=fussy)
    with generator.flow(x, np.arange(7), 1, shuffle=False, seed=1, shard=(1, 3), on_error="skip") as flow:
        batches = [next(flow) for _ in range(3)]
    assert [batch[2].tolist() for batch in batches] == [[1], [1], [0]]
