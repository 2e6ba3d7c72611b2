"""pycurl beside others that bring a libcurl."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from http_server import Server, answer
from penstock.sources import _curl

READ = """
import sys
{first}
from penstock.sources._curl_request import Request
from penstock.sources._transfers import Transfers
transfers = Transfers(1)
(found,) = transfers.get([Request(sys.argv[1], None, {{}})], 30).result(30)
transfers.close()
{last}
sys.stdout.write(str(found.status))
"""


@pytest.mark.once
@pytest.mark.parametrize("order", [("import tensorflow", ""), ("", "import tensorflow")])
def test_pycurl_and_tensorflow_use_a_libcurl_each(order: tuple[str, str]) -> None:
    pytest.importorskip("tensorflow")
    server = Server([[answer()]])
    try:
        program = READ.format(first=order[0], last=order[1])
        ran = subprocess.run([sys.executable, "-c", program, server.url], capture_output=True, text=True, timeout=300)
    finally:
        server.close()
    assert (ran.returncode, ran.stdout) == (0, "200"), ran.stderr


@pytest.mark.parametrize("preloaded", [False, True])
def test_another_libcurl_is_passed_by_where_that_is_safe(monkeypatch: pytest.MonkeyPatch, preloaded: bool) -> None:
    flags: list[int] = []
    monkeypatch.setattr(_curl, "_is_shadowed", lambda: True)
    monkeypatch.setattr(_curl, "import_module", lambda name: flags.append(sys.getdlopenflags()))
    monkeypatch.setattr(os, "RTLD_DEEPBIND", 8, raising=False)
    monkeypatch.delitem(sys.modules, "pycurl")
    monkeypatch.setenv("LD_PRELOAD", "libjemalloc.so" if preloaded else "")
    before = sys.getdlopenflags()
    if preloaded:
        with pytest.raises(ImportError, match="another libcurl"):
            _curl._loaded()
        return
    _curl._loaded()
    assert flags == [before | 8]
    assert sys.getdlopenflags() == before


@pytest.mark.parametrize("change", [{"version_info": lambda: (11, "8.3.0", 0x080300)}, {"AWS_SIGV4": None}])
def test_an_old_one_is_as_good_as_none(change: dict[str, Any]) -> None:
    names = {**vars(_curl.pycurl), **change}
    old = SimpleNamespace(**{name: each for name, each in names.items() if each is not None})
    with pytest.raises(ImportError, match="too old: PycURL/"):
        _curl._fit(old)
    assert _curl._fit(_curl.pycurl) is _curl.pycurl
