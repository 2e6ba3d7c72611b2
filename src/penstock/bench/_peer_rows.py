"""penstock beside other libraries, and what the comparison should show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from penstock.bench._claim import PEER, Claim
from penstock.bench._photographs import Contents
from penstock.bench._row import Row
from penstock.bench._scale import Scale
from penstock.bench.peers._catalogue import GRAIN, PEERS, PENSTOCK, TF_DATA, TORCH
from penstock.bench.peers._in_process import peer_side

_OTHERS = (TF_DATA, TORCH, GRAIN)
_BEST = "the best of them"
_WARM = "penstock, warm cache"
_NOTE = "Each reading is taken in a fresh process, which imports one library. Shuffled batches, floats in the end."


def peers_memory(scale: Scale) -> Row:
    """Bytes in memory to floats in -1 to 1."""
    data = scale.memory
    targets = {TF_DATA: 8, TORCH: 15}
    return Row(
        "peers-memory",
        f"{data.side_px}x{data.side_px} uint8 in memory",
        tuple(peer_side(name, data) for name in PEERS),
        (
            *(Claim(name, PENSTOCK, name, PEER, targets.get(name)) for name in _OTHERS),
            Claim(_BEST, PENSTOCK, _OTHERS, PEER, 11),
        ),
        {**asdict(data), "peers": _peer_settings()},
        _NOTE,
    )


def peers_files(scale: Scale) -> Row:
    """JPEG files; the target is against the best of the others."""
    data = scale.files
    contents = Contents.of(data.folder)
    return Row(
        "peers-files",
        f"JPEG files of {contents.mean_bytes / 1000:.0f} kB to {data.target_px}x{data.target_px}",
        (*(peer_side(name, data) for name in PEERS), peer_side(PENSTOCK, replace(data, cache="memory"), _WARM)),
        (
            *(Claim(name, PENSTOCK, name, PEER) for name in _OTHERS),
            Claim(_BEST, PENSTOCK, _OTHERS, PEER, 2.8),
            Claim(f"{_BEST}, from a warm cache", _WARM, _OTHERS, PEER, 5.5),
        ),
        {**asdict(data), "folder": data.folder.name, **asdict(contents), "peers": _peer_settings()},
        f"{_NOTE} Files are in the page cache. The warm cache is in memory, and has been filled by an epoch.",
    )


PEER_ROWS = {"peers-memory": peers_memory, "peers-files": peers_files}


def _peer_settings() -> Mapping[str, Any]:
    return {name: {"how": peer.how, "packages": peer.versions()} for name, peer in PEERS.items()}
