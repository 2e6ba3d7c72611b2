"""Environment variables that make a difference to results."""

from __future__ import annotations

from collections.abc import Mapping

# Not all of "TF_", which is Terraform's, too.
_PREFIXES = (
    "CUDA_", "JAX_", "KERAS_", "MKL_", "NUMBA_", "OMP_", "PENSTOCK_", "PYTHONHASHSEED", "TF_CUDNN_",
    "TF_DETERMINISTIC_", "TF_ENABLE_", "TF_FORCE_", "TF_GPU_", "TF_NUM_", "TF_XLA_", "XLA_",
)  # fmt: skip


def what_counts(environment: Mapping[str, str]) -> dict[str, str]:
    """Those of an environment that back ends and penstock read."""
    return {name: value for name, value in environment.items() if name.startswith(_PREFIXES)}
