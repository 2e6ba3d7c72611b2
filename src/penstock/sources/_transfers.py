"""Transfers by libcurl: many under way at a time, in a thread of their own.

A request of 43 kB takes 0.11 ms of a core here, also where it is signed; 0.17 to 0.27 with aiohttp, 0.3 with obstore,
1.2 with s3fs. Decoding and augmenting a small photograph takes 1.1. https://curl.se/libcurl/c/curl_multi_socket_action.html
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from io import BytesIO
from typing import Any, final

from penstock.sources._curl import pycurl
from penstock.sources._curl_request import Answer, Request, answer_of, meaning, prepare
from penstock.sources._remote_errors import Unserved

_PATIENCE_S = 5.0  # for the thread to end


@dataclass(eq=False)
class _Call:
    """Requests that are answered together."""

    future: Future[list[Answer | Exception]]
    answers: list[Any]
    left: int
    timeout_s: float
    deadline: float

    def answer(self, number: int, answer: Answer | Exception) -> None:
        self.answers[number] = answer
        self.left -= 1
        if not self.left and self.future.set_running_or_notify_cancel():
            self.future.set_result(self.answers)


@dataclass(eq=False)
class _Transfer:
    """One request of a call."""

    call: _Call
    number: int
    request: Request
    body: BytesIO


@final
class Transfers:
    """Gets what is behind URLs. Connections are kept for the next request.

    Args:
        most: requests under way at a time; others wait.

    Raises:
        OSError: no more files can be opened.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._waiting: deque[_Transfer] = deque()
        try:
            self._multi = pycurl.CurlMulti()  # not in the thread, where nobody hears of it
        except pycurl.error as error:
            raise OSError(f"{error}. Look whether more files may be open (`ulimit -n`)") from None
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._woken.setblocking(False)
        self._is_closed = self._has_cancelled = False
        self._under_way: dict[pycurl.Curl, _Transfer] = {}
        self._idle: list[pycurl.Curl] = []
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._watched: set[int] = set()
        self._due = float("inf")  # when libcurl wants to be called at the latest
        self._thread = threading.Thread(target=self._run, name="penstock-transfers", daemon=True)
        self._thread.start()

    def get(
        self, requests: Sequence[Request], timeout_s: float, deadline: float = float("inf")
    ) -> Future[list[Answer | Exception]]:
        """Answers, in the order of the requests, when the last is there. Cancelling it ends what is under way.

        Args:
            requests: what to get.
            timeout_s: for each, from when it is sent. deadline: for all, by `time.monotonic`.

        Returns:
            For each an `Answer`, or the `TimeoutError`, `ConnectionError` or `Unserved` that came of it.
        """
        call = _Call(Future(), [None] * len(requests), len(requests), timeout_s, deadline)
        with self._lock:
            is_closed = self._is_closed
            if not is_closed:
                self._waiting.extend(_Transfer(call, number, each, BytesIO()) for number, each in enumerate(requests))
        if is_closed or not requests:
            call.future.set_result([Unserved("it is closed")] * len(requests))
        call.future.add_done_callback(self._look_for_cancelled)
        self._rouse()
        return call.future

    def close(self) -> None:
        """End what is under way, as `Unserved`, and all connections."""
        with self._lock:
            self._is_closed = True
        self._rouse()
        if self._thread is not threading.current_thread():
            self._thread.join(_PATIENCE_S)

    def _look_for_cancelled(self, future: Future[Any]) -> None:
        if future.cancelled():
            self._has_cancelled = True
            self._rouse()

    def _rouse(self) -> None:
        with contextlib.suppress(OSError):  # it has been roused often enough, or is over
            self._wake.send(b"\0")

    def _run(self) -> None:
        multi = self._multi
        multi.setopt(pycurl.M_MAXCONNECTS, self._most)
        multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        multi.setopt(pycurl.M_TIMERFUNCTION, self._set_due)
        why: object = "it is closed"
        try:
            while not self._is_closed:
                self._begin()
                self._act()
                self._finish()
        except BaseException as error:  # which nobody else would hear of
            why = repr(error)
        with self._lock:
            self._is_closed = True
        lost = [*self._under_way.values(), *self._waiting]
        for handle in self._under_way:
            with contextlib.suppress(pycurl.error):  # it has not been added
                multi.remove_handle(handle)
        for transfer in lost:
            transfer.call.answer(transfer.number, Unserved(why))
        multi.close()  # which waits for names that are being looked up
        for each in (self._selector, self._wake, self._woken):
            each.close()

    def _begin(self) -> None:
        if self._has_cancelled:
            self._has_cancelled = False
            for handle in [each for each, its in self._under_way.items() if its.call.future.cancelled()]:
                self._multi.remove_handle(handle)  # which ends the connection
                del self._under_way[handle]
        while self._waiting and len(self._under_way) < self._most:
            transfer = self._waiting.popleft()
            call = transfer.call
            if call.future.cancelled():
                continue
            limit_s = min(call.timeout_s, call.deadline - time.monotonic())
            if limit_s <= 0:
                call.answer(transfer.number, TimeoutError("requests before this one took all the time"))
                continue
            handle = self._idle.pop() if self._idle else pycurl.Curl()
            try:
                prepare(handle, transfer.request, transfer.body, limit_s)
            except Exception as error:  # a value that libcurl does not take, which may be secret
                call.answer(transfer.number, Unserved(type(error).__name__))
                continue
            self._under_way[handle] = transfer
            self._multi.add_handle(handle)

    def _act(self) -> None:
        """Wait until something happens, and let libcurl go on with it."""
        wait_s = None if self._due == float("inf") else max(0.0, self._due - time.monotonic())
        for key, events in self._selector.select(wait_s):
            if key.fileobj is self._woken:
                self._woken.recv(1 << 12)
            else:
                self._multi.socket_action(key.fd, events)  # whose bits are those of selectors
        if time.monotonic() >= self._due:
            self._due = float("inf")
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)

    def _finish(self) -> None:
        more = True
        while more:
            more, came, failed = self._multi.info_read()
            for handle in came:
                self._hand_over(handle, answer_of(handle, self._under_way[handle].body.getbuffer()))
            for handle, number, words in failed:
                self._hand_over(handle, meaning(handle, number, words))

    def _hand_over(self, handle: pycurl.Curl, answer: Answer | Exception) -> None:
        self._multi.remove_handle(handle)
        transfer = self._under_way.pop(handle)
        handle.reset()  # else it holds the body
        self._idle.append(handle)
        transfer.call.answer(transfer.number, answer)

    def _watch(self, event: int, descriptor: int, *_: Any) -> None:
        """What libcurl wants to know of a socket: `POLL_IN` and `POLL_OUT` have the bits of selectors."""
        if event == pycurl.POLL_REMOVE:
            if descriptor in self._watched:
                self._watched.remove(descriptor)
                self._selector.unregister(descriptor)
        elif descriptor in self._watched:
            self._selector.modify(descriptor, event)
        else:
            self._watched.add(descriptor)
            self._selector.register(descriptor, event)

    def _set_due(self, wait_ms: int) -> None:
        self._due = float("inf") if wait_ms < 0 else time.monotonic() + wait_ms / 1000
