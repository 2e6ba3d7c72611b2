"""Callbacks for `fit(callbacks=[...])`."""

from __future__ import annotations

from penstock.keras._callbacks import FlowCheckpoint as FlowCheckpoint
from penstock.keras._input_report import InputReport as InputReport
from penstock.keras._tracker import Tracker as Tracker

__all__ = ["FlowCheckpoint", "InputReport", "Tracker"]
