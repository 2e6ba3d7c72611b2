"""What GPUs do, as NVIDIA's management library tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final


@final
class GpuProbe:
    """`gpu_0_percent` and `gpu_0_memory_mb`, and so on: of each GPU of the machine, whoever uses it.

    Raises:
        ImportError: nvidia-ml-py is not installed.
        pynvml.NVMLError: there is no driver.
    """

    def __init__(self) -> None:
        import pynvml

        self._nvml: Any = pynvml
        self._nvml.nvmlInit()
        self._handles = [self._nvml.nvmlDeviceGetHandleByIndex(k) for k in range(self._nvml.nvmlDeviceGetCount())]

    def __call__(self) -> Mapping[str, float]:
        measured: dict[str, float] = {}
        for number, handle in enumerate(self._handles):
            measured[f"gpu_{number}_percent"] = self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu
            measured[f"gpu_{number}_memory_mb"] = self._nvml.nvmlDeviceGetMemoryInfo(handle).used / 1e6
        return measured


def gpu_names() -> list[str]:
    """What they are called; none where there is nothing to ask."""
    try:
        import pynvml

        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
        return [str(pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(k))) for k in range(count)]
    except Exception:  # as below
        return []


def gpu_probe() -> GpuProbe | None:
    """One, if there is anything to measure."""
    try:
        return GpuProbe()
    except Exception:  # of many kinds: no package, no library, no driver, no device, no permission
        return None
