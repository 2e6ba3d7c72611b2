"""Whether a cluster's servers answer, found out with sockets and a clock of ours: no Ray is started here."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from penstock import WorkerError
from penstock.feeding.executors import _ray_connect
from penstock.feeding.executors._ray_connect import connect, line_of, within
from penstock.feeding.executors._ray_watch import Server, Watch, answer

HEAD = Server("its head", "head", 6379, 20.0, 20.0)
RAYLET = Server("the raylet", "here", 4000, 20.0, 2.0)
SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))


class World:
    """Servers that answer, or not, and a clock."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.failing: dict[str, OSError] = {}
        self.asked: list[str] = []

    def answer(self, host: str, port: int) -> None:
        self.asked.append(host)
        if host in self.failing:
            raise self.failing[host]

    def watch(self) -> Watch:
        return Watch([HEAD, RAYLET], self.answer, lambda: self.now_s)


def test_all_who_wait_look_once_a_second_together() -> None:
    world = World()
    watch = world.watch()
    for tenths in range(21):
        world.now_s = tenths / 10
        assert watch.look() is None
    assert world.asked == ["head", "here"] * 3


def test_a_slow_server_may_answer_again_and_one_that_does_not_is_gone() -> None:
    world = World()
    watch = world.watch()
    for start_s in (0.0, 100.0):
        world.failing["head"] = TimeoutError("timed out")
        world.now_s = start_s
        assert watch.look() is None
        world.now_s = start_s + 19.9
        assert watch.look() is None
        world.failing.clear()
        world.now_s = start_s + 21.0
        assert watch.look() is None
    world.failing["head"] = TimeoutError("timed out")
    for world.now_s in (200.0, 220.0):
        found = watch.look()
    assert found == "its head at head:6379 does not answer (timed out)"
    world.failing.clear()
    world.now_s = 300.0
    assert watch.look() == found  # who has lost it cannot go on with it


def test_where_nobody_listens_any_more_is_known_sooner() -> None:
    world = World()
    watch = world.watch()
    world.failing["here"] = ConnectionRefusedError("refused")
    assert watch.look() is None
    assert not watch.all_answer()
    world.now_s = 2.0
    assert watch.look() == "the raylet at here:4000 does not answer (refused)"


def test_while_one_looks_the_others_go_on() -> None:
    world = World()
    looks, may_end = threading.Event(), threading.Event()

    def slow(host: str, port: int) -> None:
        looks.set()
        assert may_end.wait(60)

    watch = Watch([HEAD], slow, lambda: world.now_s)
    thread = threading.Thread(target=watch.look)
    thread.start()
    assert looks.wait(60)
    assert watch.look() is None
    may_end.set()
    thread.join(60)


@pytest.fixture
def says() -> Iterator[list[bytes]]:
    """What a server says to whoever connects to it, and its port beside."""
    said: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        said.append(b"%d" % server.getsockname()[1])

        def serve() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                with line:
                    line.recv(100)
                    line.sendall(said[-1])

        thread = threading.Thread(target=serve)
        thread.start()
        yield said
        server.shutdown(socket.SHUT_RDWR)
        thread.join(60)


def test_a_server_of_rays_is_known_by_its_first_words(says: list[bytes]) -> None:
    port = int(says[0])
    says.append(SETTINGS)
    answer("127.0.0.1", port)
    says.append(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(ConnectionError, match="is no server of Ray's"):
        answer("127.0.0.1", port)
    says.append(b"")
    with pytest.raises(ConnectionError, match="is no server of Ray's"):
        answer("127.0.0.1", port)


def test_an_address_where_somebody_listens_and_says_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(_ray_connect, "_ANSWER_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        for way in ("", "ray://"):
            address = f"{way}127.0.0.1:{deaf.getsockname()[1]}"
            with pytest.raises(WorkerError, match=f"{address}' cannot be reached: TimeoutError: timed out\\.$"):
                connect(address)


def test_a_cluster_that_does_not_let_one_in_may_ask_for_a_token(
    says: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def init(**options: object) -> None:
        raise ConnectionError("Failed to connect to Ray cluster")

    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    says.append(SETTINGS)
    for way in ("", "ray://"):
        with pytest.raises(
            WorkerError, match=r"Failed to connect to Ray cluster\. If it asks for a token, set RAY_AUTH"
        ):
            connect(f"{way}127.0.0.1:{int(says[0])}")


def test_where_ray_has_never_run_it_is_begun_or_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    from ray._private import services

    def nothing(address: str) -> str:
        raise ConnectionError("Could not find any running Ray instance")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(services, "canonicalize_bootstrap_address", nothing)
    monkeypatch.setattr(_ray_connect, "_start", lambda ray: "begun")
    assert connect("ray") == "begun"
    with pytest.raises(WorkerError, match="'auto' cannot be reached: ConnectionError: none runs on this machine"):
        connect("auto")


def test_a_proxy_that_never_lets_one_in_is_not_waited_for() -> None:
    may_end = threading.Event()
    with pytest.raises(TimeoutError, match=r"within 0\.05 s"):
        within(0.05, lambda: may_end.wait(60))
    may_end.set()
    with pytest.raises(KeyError, match="its own"):
        within(60, lambda: {}["its own"])
    within(60, lambda: None)


def test_of_another_machines_traceback_the_last_line_is_told() -> None:
    told = "Initialization failure from server:\nTraceback (most recent call last):\n  File x\nValueError: no channel."
    line = line_of(ConnectionAbortedError(told))
    assert line == "ConnectionAbortedError: Initialization failure from server: ValueError: no channel"


@pytest.mark.parametrize("pool", ["host:0", "host:65536", "ray://host:99999", "ray://", "host", "", "a b:1"])
def test_what_is_no_address_is_refused(pool: str) -> None:
    with pytest.raises(ValueError, match="`pool` should be"):
        _ray_connect.check_ray(pool)
