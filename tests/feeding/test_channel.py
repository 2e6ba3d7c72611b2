"""Messages between processes."""

from __future__ import annotations

import os
import socket
import struct
import threading

import pytest
from hypothesis import given, settings, strategies as st

from penstock.feeding.executors._channel import Channel

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sockets that carry descriptors")


@settings(deadline=None)
@given(st.lists(st.integers(0, 3).map(lambda power: b"m" * 10 ** (2 * power)), max_size=4))
def test_messages_of_any_size_come_whole_and_in_order(messages: list[bytes]) -> None:
    ours, theirs = map(Channel, socket.socketpair())

    def send() -> None:
        for message in messages:
            ours.send(message)
        ours.close()

    sending = threading.Thread(target=send)
    sending.start()
    assert [theirs.receive() for _ in messages] == messages
    with pytest.raises(EOFError):
        theirs.receive()
    sending.join()
    theirs.close()


def test_descriptors_come_with_their_messages() -> None:
    ours, theirs = map(Channel, socket.socketpair())
    pipes = [os.pipe() for _ in range(3)]
    for number, (reader, _) in enumerate(pipes):
        ours.send(b"before")
        ours.send(bytes([number]), reader)
    for number, (_, writer) in enumerate(pipes):
        assert theirs.receive() == b"before"
        assert theirs.receive() == bytes([number])
        os.write(writer, b"x" * (number + 1))
        descriptor = theirs.descriptor()
        assert os.read(descriptor, 9) == b"x" * (number + 1)
        os.close(descriptor)
    for pipe in pipes:
        for descriptor in pipe:
            os.close(descriptor)
    ours.close()
    theirs.close()


def test_descriptors_that_nobody_asked_for_are_closed() -> None:
    ours, theirs = map(Channel, socket.socketpair())
    reader, writer = os.pipe()
    ours.send(b"", reader)
    os.close(reader)
    assert theirs.receive() == b""
    theirs.close()
    with pytest.raises(BrokenPipeError):
        os.write(writer, b"x")
    os.close(writer)
    ours.close()


def test_a_message_that_does_not_come_is_none_and_loses_nothing_of_it() -> None:
    end, other = socket.socketpair()
    channel = Channel(end, 0.02)
    assert channel.receive() is None
    other.sendall(struct.pack("=Q", 4) + b"ab")
    assert channel.receive() is None
    other.sendall(b"cd")
    assert channel.receive() == b"abcd"
    other.sendall(struct.pack("=Q", 4) + b"a")
    other.close()
    with pytest.raises(EOFError):
        channel.receive()
    with pytest.raises(OSError, match="Broken pipe"):
        channel.send(b"anybody?")
    channel.close()


def test_a_reader_that_takes_nothing_is_no_wait_for_ever() -> None:
    end, other = socket.socketpair()
    channel = Channel(end, send_patience_s=0.05)
    with pytest.raises(OSError, match=r"temporarily unavailable|timed out"):
        channel.send(bytes(1 << 24))
    channel.close()
    other.close()
