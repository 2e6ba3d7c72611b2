"""`penstock plan` as a user runs it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from command_line import NO_KERAS, penstock
from penstock.cli._endings import CommandError
from penstock.cli._plan import PlanOptions, run_plan
from penstock.cli._plan_report import PlanReport
from penstock.cli._plan_units import parse_count, parse_size
from penstock.planning._plan import Site, plan
from penstock.planning._rates import Rates
from rates import rates

OPTIONS = PlanOptions(
    directory=None,
    images=1_280_000,
    epochs=90,
    gpus=8,
    step_s=0.12,
    batch_size=256,
    image_size=None,
    image_bytes=None,
    target_size=(224, 224),
    waiting=0.01,
    site=Site(latency_s=0.02),
)


def run(options: PlanOptions) -> Any:
    return run_plan(options, PlanReport(Console(highlight=False, markup=False, width=200), is_silent=options.as_json))


def write_images(folder: Path, count: int, size: tuple[int, int] = (64, 48)) -> None:
    (folder / "cats").mkdir(parents=True)
    for k in range(count):
        Image.effect_noise(size, 50).save(folder / "cats" / f"{k}.jpg")


# --- numbers and sizes ---


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("14000000", 14_000_000), ("14e6", 14_000_000), ("14M", 14_000_000), ("14 m", 14_000_000),
        ("1.28M", 1_280_000), ("1,281,167", 1_281_167), ("1_000", 1000), ("2k", 2000), ("3B", 3 * 10**9), ("1", 1),
    ],
)  # fmt: skip
def test_numbers_as_people_write_them(text: str, count: int) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize("text", ["", "0", "0.4", "-5", "14X", "many", "nan", "inf", "1e99", "1,2", "0x10", "14 MB"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"should be a number from 1 .* Received: "):
        parse_count(text)


def test_sizes() -> None:
    assert parse_size("500x375") == parse_size(" 500 X 375 ") == (500, 375)
    assert parse_size("224") == (224, 224)
    for text in ("", "0x5", "5x", "500x375x3", "99999", "-3", "500*375", "big"):
        with pytest.raises(ValueError, match="should be WIDTHxHEIGHT"):
            parse_size(text)


# --- the command ---


def test_it_says_what_the_plan_is_without_keras(tmp_path: Path) -> None:
    words = ("plan", "--images", "14e6", "--gpus", "64", "--step-ms", "120", "--seed", "0")
    done = penstock(*words, "--price-per-million-requests", "0.4", cwd=tmp_path, missing=NO_KERAS)
    assert (done.returncode, done.stderr) == (0, "")
    job = OPTIONS
    answer = plan(
        replace(_job(job), images=14_000_000, gpus=64), replace(job.site, latency_s=0.02), Rates.shipped()
    )  # fmt: skip
    shown = dict(re.findall(r"^ (\S.*?)  +(\S.*?)(?:  .*)?$", done.stdout, re.MULTILINE))
    assert shown["cores"] == f"{answer.cores:,}"
    assert shown["nodes"] == f"{answer.nodes}"
    assert shown["accelerators wait"] == f"{100 * answer.waiting_share:.2g} %"
    assert shown["queue of each"] == f"{answer.depth}"
    assert shown["a cache takes"] == "2.11 TB"
    assert shown["requests cost"] == "504.00"
    assert shown["90 epochs"].endswith(" h")
    assert "137,000 images/s" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("Accelerators are kept busy. What would be short first: cores.")
    assert not list(tmp_path.iterdir())


def _job(options: PlanOptions) -> Any:
    from penstock.cli._plan import _job as job_of

    return job_of(options, None)


def test_json_has_the_same_and_how_waiting_falls(capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(replace(OPTIONS, as_json=True, price_per_million_requests=0.5))
    shown = json.loads(capsys.readouterr().out)
    assert shown["cores"] == answer.cores
    assert shown["site"]["latency_s"] == 0.02
    assert shown["price"] == pytest.approx(1_280_000 * 90 / 1e6 * 0.5)
    assert shown["bounds_batches_per_s"]["network in"] is None  # JSON has no infinity
    waits = [point["waiting_share"] for point in shown["waiting_by_cores"]]
    assert waits[0] > 0.4
    assert waits[-1] < 0.01
    assert Rates.of(shown["rates"]) == Rates.shipped()


def test_cores_that_are_too_few_are_said_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(replace(OPTIONS, site=replace(OPTIONS.site, cores=4, send="nothing", latency_s=0.0)))
    said = capsys.readouterr().out
    assert answer.waiting_share > 0.5
    assert f"Accelerators wait {100 * answer.waiting_share:.2g} % of the time. What limits: cores." in said
    assert "made beside the accelerators" in said
    assert "requests" not in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"gpus": 1, "step_s": 0.1}, "1 accelerator that takes 100 ms for 256 images each"),
        ({"gpus": 1, "step_s": 1200.0, "images": 90}, "1 accelerator that takes 20.0 min for"),
        ({"gpus": 1, "step_s": 1200.0, "images": 90}, r"It can give [\d,]+ times what accelerators take"),
        ({"gpus": 1, "step_s": 1200.0, "images": 90, "epochs": 1}, r"1 epoch +20\.0 min +90 images read"),
        ({"gpus": 1, "step_s": 1200.0}, r"accelerators wait +0 % "),
        ({"waiting": 0.99}, r"Accelerators wait \d+ % of the time, which --waiting allows. What limits: cores"),
    ],
)
def test_figures_stay_readable_at_any_scale(
    change: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(replace(OPTIONS, **change))
    assert re.search(words, capsys.readouterr().out)


def test_images_of_a_folder_say_what_images_are_like(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_images(tmp_path / "photos", 5)
    (tmp_path / "photos" / "cats" / "note.jpg").write_text("no image")  # left to `penstock check`
    sizes = [path.stat().st_size for path in (tmp_path / "photos" / "cats").glob("[0-9].jpg")]
    job = run(replace(OPTIONS, directory=tmp_path / "photos", images=None)).job
    assert (job.images, job.image_px, job.image_bytes) == (6, 64 * 48, pytest.approx(np.mean(sizes)))
    said = replace(OPTIONS, directory=tmp_path / "photos", image_size=(10, 20), image_bytes=7.0)
    job = run(said).job
    assert (job.images, job.image_px, job.image_bytes) == (1_280_000, 200, 7)


def test_rates_of_a_file_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own, slow = tmp_path / "rates.json", tmp_path / "record.json"
    own.write_text(rates().to_json())
    ten_times = replace(
        rates(),
        readings=tuple(
            replace(r, decode_s=10 * r.decode_s, transform_s=10 * r.transform_s) for r in rates().readings
        ),
    )  # fmt: skip
    slow.write_text(json.dumps({"rows": [{"settings": {}}, {"settings": {"rates": json.loads(ten_times.to_json())}}]}))
    fast = run(replace(OPTIONS, rates=own))
    assert "by what made up took on 2 cores of a CPU, 2026-01-02" in capsys.readouterr().out
    assert run(replace(OPTIONS, rates=slow)).cores == pytest.approx(10 * fast.cores, rel=0.05)


@pytest.mark.parametrize(
    "text", ["{}", "[]", "no JSON", '{"rows": []}', '{"rows": [{"settings": {}}]}', '{"rows": [3]}']
)
def test_files_without_rates_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "rates.json").write_text(text)
    with pytest.raises(CommandError, match=r"--rates should be a file that --save-rates wrote.*is neither"):
        run(replace(OPTIONS, rates=tmp_path / "rates.json"))


def test_what_is_measured_is_saved_and_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.bench._plan_request.measure_request", lambda: (0.25, "carrier pigeons"))
    write_images(tmp_path / "photos", 3, (40, 30))
    saved = tmp_path / "rates.json"
    measured = replace(
        OPTIONS, directory=tmp_path / "photos", target_size=(16, 16), measure=True, seconds=0.1, save_rates=saved
    )  # fmt: skip
    first = run(measured)
    said = capsys.readouterr().out
    assert "250 ms of them for its request by carrier pigeons" in said
    assert f"by what images of {str(tmp_path / 'photos')!r} took" in said
    found = Rates.of(json.loads(saved.read_text()))
    assert found.request_s == 0.25
    assert all(reading.batches and reading.source_px for reading in found.readings)
    assert len({reading.source_px for reading in found.readings}) == 3  # of the same images
    again = run(replace(OPTIONS, directory=tmp_path / "photos", target_size=(16, 16), rates=saved))
    assert again.cores == first.cores


def test_a_picture_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(replace(OPTIONS, plot=tmp_path / "new" / "plan.png"))
    assert "plan.png" in capsys.readouterr().out
    with Image.open(tmp_path / "new" / "plan.png") as picture:
        assert picture.size[0] > 500
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 3


# --- what will not do ---


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": None}, "--images N or DIR should say how many"),
        ({"measure": True, "rates": Path("x")}, "not both"),
        ({"save_rates": Path("x.json")}, "--save-rates needs --measure"),
        ({"gpus": 100_000, "step_s": 1e-6}, "10,000,000 are the most"),
        ({"site": replace(OPTIONS.site, nic_bytes_per_s=0.1)}, r"the network takes [\d,]+ nodes, and 10,000,000 are"),
    ],
)
def test_what_cannot_be_planned_ends_in_one_line(change: dict[str, Any], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        run(replace(OPTIONS, **change))


def test_nothing_but_rates_is_replaced_by_rates(tmp_path: Path) -> None:
    theirs, ours = tmp_path / "notes.json", tmp_path / "rates.json"
    theirs.write_text('{"mine": 1}')
    ours.write_text(rates().to_json())
    with pytest.raises(CommandError, match=r"notes\.json is in the way, and holds no rates"):
        run(replace(OPTIONS, measure=True, save_rates=theirs))
    assert theirs.read_text() == '{"mine": 1}'
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(CommandError, match="is a folder"):
        run(replace(OPTIONS, measure=True, save_rates=tmp_path / "folder.json"))
    nothing = replace(OPTIONS, measure=True, save_rates=ours, directory=tmp_path)  # it gets as far as the images
    with pytest.raises(CommandError, match="DIR should hold images"):
        run(nothing)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0.txt").write_text("")
    with pytest.raises(CommandError, match="DIR should hold images, in files whose names end in"):
        run(replace(OPTIONS, directory=tmp_path))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Missing option '--step-ms'"),
        (("--step-ms", "0"), "should be a number above 0. Received: 0"),
        (("--step-ms", "-3"), "should be a number above 0. Received: -3"),
        (("--step-ms", "nan"), "should be a number above 0"),
        (("--step-ms", "1", "--gpus", "0"), "Invalid value for '--gpus'"),
        (("--step-ms", "1", "--gpus", "many"), "Invalid value for '--gpus'"),
        (("--step-ms", "1", "--images", "14X"), "should be a number from 1 to"),
        (("--step-ms", "1", "--image-size", "big"), "should be WIDTHxHEIGHT"),
        (("--step-ms", "1", "--image-kb", "0"), "above 0"),
        (("--step-ms", "1", "--latency-ms", "-1"), "should be 0 or more"),
        (("--step-ms", "1", "--nic-gbit", "inf"), "above 0"),
        (("--step-ms", "1", "--latency-ms", "1e9"), "less than or equal to 3600000"),
        (("--step-ms", "1", "--price-per-million-requests", "1e300"), "less than or equal to"),
        (("--step-ms", "1", "--send", "int8"), "one of float32, uint8, nothing"),
        (("--step-ms", "1", "--waiting", "0"), "Invalid value for '--waiting'"),
        (("--step-ms", "1", "--plot", "plan.pdf"), "ends in .png"),
        (("--step-ms", "1", "--save-rates", "rates.txt"), "ends in .json"),
        (("--step-ms", "1", "--rates", "nowhere.json"), "does not exist"),
    ],
)
def test_options_out_of_range(arguments: tuple[str, ...], words: str) -> None:
    from typer.testing import CliRunner

    import penstock.cli._plan_app  # noqa: F401, it adds the command
    from penstock.cli._app import app

    done = CliRunner().invoke(app, ["plan", "--images", "5", *arguments], env={"COLUMNS": "200"})
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in " ".join(done.stderr.replace("│", " ").split())


def test_a_refusal_of_the_plan_exits_with_2(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    import penstock.cli._plan_app  # noqa: F401, it adds the command
    from penstock.cli._app import app

    done = CliRunner().invoke(app, ["plan", "--step-ms", "1"])
    assert done.exit_code == 2
