"""What Keras trains on."""

from __future__ import annotations

import sys
from typing import Any

_BACKENDS = {"jax": "JAX", "tensorflow": "TensorFlow", "torch": "PyTorch"}


def training_devices(keras: Any) -> tuple[str, bool]:
    """Its devices, in words, and whether they are more than the CPU.

    Args:
        keras: the module, whose back end is loaded.
    """
    backend = keras.config.backend()
    names = _accelerators(keras, backend)
    if not names:
        return "the CPU", False
    kinds = ", ".join(dict.fromkeys(names))
    return f"{len(names)} x {kinds} ({_BACKENDS.get(backend, backend)})", True


def _accelerators(keras: Any, backend: str) -> list[str]:
    if backend == "jax":
        import jax

        return [device.device_kind for device in jax.devices() if device.platform != "cpu"]
    if backend == "torch":  # for which Keras lists no devices
        cuda = sys.modules["torch"].cuda
        return [cuda.get_device_name(number) for number in range(cuda.device_count())]
    return ["GPU" for _ in keras.distribution.list_devices("gpu")]
