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


pycurl: Any = _loaded()
