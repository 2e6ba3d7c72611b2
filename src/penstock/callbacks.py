"""Callbacks for `fit(callbacks=[...])`."""

from __future__ import annotations

from penstock.keras._callbacks import FlowCheckpoint as FlowCheckpoint

__all__ = ["FlowCheckpoint"]
