"""The door as a real process, and sockets in the hands of those who mean harm."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from services.runtime.settings import Settings
from tests.integration.ingest.conftest import Api, add_sender, api, folder, readers
from tests.unit.ingest.conftest import house
from tests.waiting import eventually

__all__ = ["api", "folder", "house", "readers"]  # fixtures of the way in, for the tests of this folder


@pytest.fixture(scope="module")
def pushes(settings: Settings, api: Api) -> dict[str, str]:
    """The headers of a sender in good standing, known to the door."""
    key, _ = add_sender(settings, "GOODONE", "ocean_carrier", "push", "backfill")
    eventually(lambda: Line.to(api).ask("POST", "/v1/messages", key, b"hello")[0] == 202)
    return key


class Line:
    """One TCP connection, byte by byte."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)

    @classmethod
    def to(cls, api: Api) -> Line:
        return cls(api.port)

    def send(self, data: bytes) -> bool:
        """Whether the other side still takes it."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def answer(self, patience_s: float = 20) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the next answer; status 0 if the connection ended without one."""
        self.socket.settimeout(patience_s)
        with contextlib.suppress(ConnectionError), self.socket.makefile("rb") as file:
            line = file.readline()
            if not line:
                return 0, {}, b""
            headers: dict[str, str] = {}
            while (field := file.readline()) not in (b"\r\n", b""):
                name, _, value = field.decode("latin-1").partition(":")
                headers[name.lower()] = value.strip()
            return int(line.split()[1]), headers, file.read(int(headers.get("content-length", "0")))
        return 0, {}, b""

    def ask(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        """A whole request, and its answer."""
        self.send(head(method, path, headers | {"Content-Length": str(len(body))}) + body)
        return self.answer()

    def ended(self, within_s: float = 20) -> bool:
        """Whether the other side ends the connection in time; what it says before is thrown away."""
        self.socket.settimeout(within_s)
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def close(self) -> None:
        self.socket.close()


def head(method: str, path: str, headers: dict[str, str]) -> bytes:
    """A request's head."""
    lines = [f"{method} {path} HTTP/1.1", "Host: door", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


@contextlib.contextmanager
def lines(api: Api, count: int) -> Iterator[list[Line]]:
    """Many connections at once, closed at the end."""
    opened: list[Line] = []
    try:
        for _ in range(count):
            opened.append(Line.to(api))
        yield opened
    finally:
        for line in opened:
            line.close()
