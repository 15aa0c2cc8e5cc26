"""Real servers of the local mailbox for tests: SMTP in aiosmtpd's thread, the SMS provider's API in uvicorn's."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from deploy.local.mailbox import Faults, MailServer, Message, Store, certificate, read
from deploy.local.process import free_ports
from deploy.local.sms_simulator import Account, Simulator
from tests.stack import PORTS

USER, PASSWORD = "lovla", "let me in"


@dataclass
class Mailbox:
    """What came, and how to make it misbehave."""

    folder: Path
    faults: Faults
    smtp_port: int
    sms_url: str = ""
    simulator: Simulator | None = None

    def mails(self, to: str) -> list[Message]:
        return [message for message in read(self.folder) if message.kind == "email" and message.to == to]

    def texts(self, to: str) -> list[str]:
        return [message.text for message in read(self.folder) if message.kind == "sms_out" and message.to == to]

    def settings(self) -> dict[str, Any]:
        """What a sender is told of it."""
        told: dict[str, Any] = {
            "smtp_port": self.smtp_port,
            "smtp_ca": self.folder / "tls.pem",
            "smtp_user": USER,
            "smtp_password": PASSWORD,
        }
        return told | ({"sms_url": self.sms_url, "sms_token": "token"} if self.sms_url else {})


@contextmanager
def a_mail_server(folder: Path, port: int | None = None, **more: Any) -> Iterator[Mailbox]:
    """An SMTP server with STARTTLS and a login."""
    faults, port = Faults(), port or free_ports(1, among=PORTS)[0]
    told: dict[str, Any] = {"certificate": certificate(folder), "credentials": (USER, PASSWORD)} | more
    server = MailServer(Store(folder), faults, port, **told)
    server.start()
    try:
        yield Mailbox(folder, faults, port)
    finally:
        server.stop()


@contextmanager
def serving(app: FastAPI, port: int | None = None) -> Iterator[str]:
    """An HTTP server; gives its URL."""
    port = port or free_ports(1, among=PORTS)[0]
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, name="http", daemon=True)
    thread.start()
    until = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < until and thread.is_alive()
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


@contextmanager
def a_mailbox(folder: Path, inbound_url: str | None = None) -> Iterator[Mailbox]:
    """Both servers."""
    with a_mail_server(folder) as box:
        simulator = Simulator(Store(folder), box.faults, Account("AClocal", "token", "+15005550006", inbound_url))
        with serving(simulator.app()) as url:
            box.sms_url, box.simulator = url, simulator
            yield box
