"""The proxy misbehaves as it is told, and only then."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.proxy import Proxy


class Echo:
    """A server that answers every piece with the same; keeps what it heard."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                while piece := connection.recv(1024):
                    self.heard.append(piece)
                    connection.sendall(piece)
            except OSError:
                return

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    made = Proxy(echo.port)
    yield made
    made.close()


def said(connection: socket.socket, word: bytes) -> bytes:
    connection.sendall(word)
    return connection.recv(1024)


def answer(connection: socket.socket) -> bytes:
    """What comes; nothing if the connection is broken."""
    try:
        return connection.recv(1024)
    except ConnectionError:
        return b""


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=3)


def test_open_it_passes_both_ways(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        assert said(connection, b"hello") == b"hello"


def test_mute_it_passes_what_is_asked_and_swallows_the_answer(proxy: Proxy, echo: Echo) -> None:
    with connect(proxy) as connection:
        said(connection, b"before")
        proxy.be("mute")
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            said(connection, b"unanswered")
        assert echo.heard[-1] == b"unanswered"
        assert proxy.swallowed == 1
        proxy.be("open")
        connection.settimeout(3)
        assert answer(connection) == b"", "bytes of it were lost: it may not go on"


def test_cut_the_connection_breaks_at_the_answer(proxy: Proxy, echo: Echo) -> None:
    with connect(proxy) as connection:
        said(connection, b"before")
        proxy.be("cut")
        connection.sendall(b"asked")
        assert answer(connection) == b""
        assert echo.heard[-1] == b"asked"


def test_shut_nobody_gets_through_and_open_again_everybody_does(proxy: Proxy, echo: Echo) -> None:
    proxy.be("shut")
    with connect(proxy) as connection:
        assert answer(connection) == b""
    assert echo.heard == []
    proxy.be("open")
    with connect(proxy) as connection:
        assert said(connection, b"again") == b"again"


def test_slow_each_piece_waits_on_its_way(proxy: Proxy) -> None:
    proxy.be("slow", 0.2)
    with connect(proxy) as connection:
        began = time.monotonic()
        assert said(connection, b"slowly") == b"slowly"
        assert time.monotonic() - began >= 0.4, "there and back"
