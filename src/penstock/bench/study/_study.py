"""A study from its first warm-up to its last round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from penstock.bench.study._data import StudyData
from penstock.bench.study._gauges import PieceReading
from penstock.bench.study._opened import opened_here
from penstock.bench.study._peer import PeerJob, measure_peer
from penstock.bench.study._rounds import Measure, Warm, run_rounds, warm_up
from penstock.bench.study._setting import MODEL_ALONE, Setting
from penstock.bench.study._work import Taking, Work, measure_piece


@dataclass(frozen=True)
class Study:
    """What is to be measured.

    Attributes:
        data: what is fed.
        settings: by whom.
        rounds: how often.
        images: in each piece, at least; None to choose a number by how fast the warm-up is.
        seconds: that all rounds should take then.
        model: name of the network that trains; None to take batches only.
        backend: Keras's.
        cold: drop the files' cached pages before each piece.
    """

    data: StudyData
    settings: Sequence[Setting]
    rounds: int
    images: int | None
    seconds: float
    model: str | None = None
    backend: str = "jax"
    cold: bool = False

    def measure(self, check: Callable[[], object]) -> Measure:
        """What measures a setting: in this process, or for a peer in one of its own.

        Args:
            check: called now and then; what it raises ends the work.
        """
        work: Work
        if self.model is None:
            work = Taking(check)
        else:
            from penstock.bench.study._training import Training

            work = Training(self.data, self.model, check)

        def measure(setting: Setting, images: int) -> PieceReading:
            check()
            if setting.is_ours or setting.feed == MODEL_ALONE:
                reading = measure_piece(self.data, setting, images, work, opened_here, cold=self.cold)
            else:
                job = PeerJob(setting, self.data, images, self.model, self.backend, self.cold)
                reading = measure_peer(job)
            check()  # Keras swallows an interrupt at times
            return reading

        return measure

    def warm_up(self, measure: Measure, tell: Callable[[Setting], object]) -> Warm:
        """Every setting once, uncounted."""
        return warm_up(self.settings, measure, tell)

    def images_in_piece(self, warm: Warm) -> int:
        """The user's number, or one with which all rounds take about `seconds`."""
        if self.images is not None:
            return self.images
        largest_batch = max(setting.batch_size for setting in self.settings)
        # Of cold files, none is read twice.
        return max(
            largest_batch, warm.images_within(self.seconds, self.rounds, self.data.images if self.cold else 10**9)
        )

    def run(
        self,
        measure: Measure,
        images: int,
        tell: Callable[[Setting, int], object],
        take: Callable[[Setting, PieceReading], object],
    ) -> None:
        """All rounds; see `run_rounds`."""
        run_rounds(self.settings, self.rounds, images, measure, tell, take)
