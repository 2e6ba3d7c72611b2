"""What a machine and its feeds do, over time: probes, asked by a sampler; records; a plot of them; an endpoint.

`serve_metrics` is loaded on first touch, so that importing this costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.monitor._metrics import MetricsServer as MetricsServer, serve_metrics as serve_metrics

__all__ = ["MetricsServer", "serve_metrics"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from penstock.monitor import _metrics

    return getattr(_metrics, name)


def __dir__() -> list[str]:
    return sorted(__all__)
