"""What `penstock verify` says on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.cli._terminal import TerminalReport, counted, printable

if TYPE_CHECKING:
    from penstock.cli._verify import VerifyOptions


@dataclass(frozen=True)
class Difference:
    """A way that made other bytes than the first one.

    Attributes:
        way: its name.
        batch: number of the first one that differs, from 0.
        batches: how many differ.
    """

    way: str
    batch: int
    batches: int


class VerifyReport(TerminalReport):
    """Prints what was compared, and the digest."""

    def heading(self, options: VerifyOptions, images: int, batches: int, *, made: bool) -> None:
        """What is compared."""
        where = "that were made for this" if made else f"in {options.directory}"
        height, width = options.size
        settings = ", ".join(f"{name}={value!r}" for name, value in options.augment.items()) or "no augmentation"
        self._say(
            printable(
                f"Verifying {counted(images, 'image')} {where}: to {height}x{width}, in "
                f"{counted(batches, 'batch', 'batches')} of {options.batch_size}, seed {options.seed}, {settings}",
                self._console.encoding,
            )
        )

    def made(self, way: str, batches: int, seconds: float) -> None:
        """One way is done."""
        self._say(f"  {way}: {counted(batches, 'batch', 'batches')} in {seconds:.1f} s")

    def verdict(self, digest: str, found: Sequence[Difference], batches: int) -> None:
        """Same or not, and the digest of the first way."""
        for each in found:
            self._say(
                f"Different: {each.way} made {each.batches} of {counted(batches, 'batch', 'batches')} otherwise than "
                f"one after the other; the first is batch {each.batch} of epoch 0"
            )
        if not found:
            self._say("The same bytes in every way.")
        self._say(f"digest {digest}")
