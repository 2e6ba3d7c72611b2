"""One piece of work by a peer: `python -m penstock.bench.study JOB ANSWER`; JOB is JSON, ANSWER a file to write."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.bench.peers._leash import end_with_who_asked
from penstock.bench.study._gauges import PieceReading
from penstock.bench.study._opened import Opened
from penstock.bench.study._peer import PeerJob, opened_peer
from penstock.bench.study._setting import Setting
from penstock.bench.study._work import Taking, measure_piece

if TYPE_CHECKING:
    from penstock.bench.study._training import Training


def main(arguments: Sequence[str] | None = None) -> int:
    """Do one job.

    Returns:
        The exit status.
    """
    text, answer = sys.argv[1:] if arguments is None else arguments
    job = PeerJob.from_json(text)
    work = Taking() if job.model is None else _TrainingLater(job, job.model)
    reading = measure_piece(job.data, job.setting, job.images, work, opened_peer, cold=job.cold)
    Path(answer).write_text(json.dumps(asdict(reading)), "utf-8")
    return 0


class _TrainingLater:
    """`Training`, whose back end is loaded once the feed's workers have been started: it bears no fork."""

    def __init__(self, job: PeerJob, model: str) -> None:
        self._job, self._model = job, model
        self._training: Training | None = None

    def warm_up(self, opened: Opened, setting: Setting) -> None:
        """See `Work`."""
        next(opened.batches)
        from penstock.bench.study._training import Training

        self._training = Training(self._job.data, self._model)
        self._training.warm_up(opened, setting)

    def measured(self, opened: Opened, setting: Setting, steps: int) -> PieceReading:
        """See `Work`."""
        assert self._training is not None
        return self._training.measured(opened, setting, steps)


if __name__ == "__main__":
    end_with_who_asked()
    sys.exit(main())
