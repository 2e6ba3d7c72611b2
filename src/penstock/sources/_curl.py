"""pycurl, with the libcurl that comes with it.

TensorFlow has an older libcurl, and shows its names to all that is loaded later: pycurl would call that one, and says
that it will not. On Linux a library can be told to look for its own names first; not where others replace `malloc`,
since what is allocated by one and freed by another ends the process. https://man7.org/linux/man-pages/man3/dlopen.3.html
"""

from __future__ import annotations

import ctypes
import os
import sys
from importlib import import_module
from typing import Any

_OLDEST = 0x080400  # libcurl whose limit of size holds also where a server does not tell the size before
_NAMES = ("AWS_SIGV4", "CONTENT_LENGTH_DOWNLOAD_T", "SSLOPT_NATIVE_CA")  # that older ones of pycurl do not have


def _is_shadowed() -> bool:
    try:
        return hasattr(ctypes.CDLL(None), "curl_easy_init")
    except (OSError, TypeError):  # Windows, where each library has names of its own
        return False


def _loaded() -> Any:
    if "pycurl" in sys.modules or not _is_shadowed():
        return import_module("pycurl")
    own_first = getattr(os, "RTLD_DEEPBIND", None)
    if own_first is None or os.environ.get("LD_PRELOAD"):
        raise ImportError("another libcurl has been loaded before that of pycurl")
    flags = sys.getdlopenflags()
    sys.setdlopenflags(flags | own_first)
    try:
        return import_module("pycurl")
    finally:
        sys.setdlopenflags(flags)


def _fit(module: Any) -> Any:
    if module.version_info()[2] < _OLDEST or not all(hasattr(module, name) for name in _NAMES):
        raise ImportError(f"this pycurl is too old: {module.version}")
    return module


pycurl: Any = _fit(_loaded())
