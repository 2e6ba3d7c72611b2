"""What a run runs on."""

from __future__ import annotations

import os
import platform

from penstock.feeding._cpus import cpu_name, usable_cpus
from penstock.monitor._gpu_probe import gpu_names


def machine() -> dict[str, str]:
    """By name: CPU, cores, memory, GPUs, system, Python."""
    known = {
        "cpu": cpu_name(),
        "cores_usable": str(usable_cpus()),
        "cores": str(os.cpu_count() or 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        known["memory_gb"] = f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9:.1f}"
    for number, name in enumerate(gpu_names()):
        known[f"gpu_{number}"] = name
    return known
