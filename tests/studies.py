"""Made readings of a study, whose figures are known, and a made CIFAR-10."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from penstock.bench._machine import Machine
from penstock.bench.study._findings import Findings
from penstock.bench.study._gauges import PieceReading
from penstock.bench.study._record import StudyRecord
from penstock.bench.study._setting import Setting

MACHINE = Machine("2026-01-02T03:04:05+00:00", "a <CPU>", 2, 4, 8 << 30, "Linux", "3.11", {"keras": "3"}, "0.1.0", None)


def reading(images_per_s: float, **others: Any) -> PieceReading:
    """Of 1000 images."""
    wall_s = 1000 / images_per_s
    return PieceReading(**{"images": 1000, "wall_s": wall_s, "user_s": wall_s / 2, "system_s": wall_s / 10} | others)


def findings(rates: Mapping[Setting, tuple[float, ...]], **others: Any) -> Findings:
    """By setting, the rate of each round."""
    readings = {setting: [reading(rate, **others) for rate in values] for setting, values in rates.items()}
    return Findings.of(list(rates), readings)


def study_record(found: Findings, experiment: str = "images", **settings: Any) -> StudyRecord:
    made = {"images": 2000, "command": "penstock bench images", "place": "memory", "rounds": 3, "cold": False}
    devices = "the CPU" if experiment == "train" else ""
    return StudyRecord(MACHINE, experiment, "made <data>", devices, made | settings, found, 12.0, True)


def write_cifar10(folder: Path, images: int = 4) -> None:
    """Five files of it; images of the first number are 1, and 101 in red."""
    folder.mkdir(parents=True)
    for number in range(1, 6):
        data = np.full((images, 3072), number, np.uint8)
        data[:, :1024] += 100  # red
        content = {b"data": data, b"labels": [number] * images}
        (folder / f"data_batch_{number}").write_bytes(pickle.dumps(content, protocol=2))
