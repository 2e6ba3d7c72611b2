"""Who is measured, what each one needs, and how it is set up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

PENSTOCK, TF_DATA, TORCH, GRAIN = "penstock", "tf.data", "torch DataLoader", "Grain"


@dataclass(frozen=True)
class Peer:
    """One library that feeds images. Nothing of it is imported here.

    Attributes:
        name: of its side in a row.
        module: in this package; has `memory` and `files`.
        distributions: whose versions are of interest; alternatives are separated by "|".
        how: the setup, for the record.
        environment: variables of its process.
    """

    name: str
    module: str
    distributions: tuple[str, ...]
    how: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def versions(self) -> dict[str, str]:
        """Version by name, of the distributions that are installed."""
        return versions(self.distributions)


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """Version by name, of those that are installed; of alternatives, separated by "|", the first."""
    found = {}
    for alternatives in distributions:
        for name in alternatives.split("|"):
            try:
                found[name] = version(name)
                break
            except PackageNotFoundError:
                continue
    return found


_CV2 = "opencv-python-headless|opencv-python"
# Albumentations asks the network for a newer version of itself unless it is told not to.
_QUIET = {"NO_ALBUMENTATIONS_UPDATE": "1"}

PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            PENSTOCK,
            "_penstock",
            ("keras", "jax", "numba", "simplejpeg"),
            "2 worker threads; rescale and featurewise_center in memory, flow_from_directory for files",
            {"KERAS_BACKEND": "jax"},
        ),
        Peer(
            TF_DATA,
            "_tf_data",
            ("tensorflow|tensorflow-cpu", "keras"),
            "shuffle, batch, then Keras preprocessing layers on whole batches; every map and the prefetch with "
            "AUTOTUNE; files by tf.io.decode_jpeg and tf.image.resize",
            {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"},
        ),
        Peer(
            TORCH,
            "_torch_loader",
            ("torch", "albumentations", _CV2),
            "DataLoader with 2 persistent workers; Albumentations with one Affine and ToTensorV2, bytes until batched; "
            "floats are made of whole batches, by one thread; files by cv2.imread; OpenCV without threads",
            _QUIET,
        ),
        Peer(
            GRAIN,
            "_grain",
            ("grain", "albumentations", _CV2),
            "MapDataset with Albumentations as for torch, bytes until batched; in memory mp_prefetch with 2 workers, "
            "for files 2 threads; floats are made of whole batches; OpenCV without threads",
            _QUIET,
        ),
    )
}

# How those feed a `Stored` sequence that can; nothing else than the library itself is needed for it.
STORED_HOW = {
    PENSTOCK: "feed with 2 worker processes",
    TORCH: "DataLoader with batch_size=None and 2 persistent workers, no collation; tensors in shared memory",
}
