"""Our own services as parts of the stack: one table, one line a service."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

from deploy.local.part import page, refused


@dataclass(frozen=True, slots=True)
class Service:
    """`port_setting`: the line of lovla.env that holds its port. `own_door`: it serves its health on that very port. `also`:
    names of further ports of its own, and their lines."""

    name: str
    module: str
    port_setting: str
    own_door: bool = False
    health: str = "/healthz"
    also: tuple[tuple[str, str], ...] = ()


SERVICES: tuple[Service, ...] = (
    Service("readers", "services.ingest.readers_stage", "LOVLA_STACK_READERS_PORT"),
    Service("tracker", "services.tracker", "LOVLA_STACK_TRACKER_PORT"),
    Service("sink", "services.sink", "LOVLA_STACK_SINK_PORT"),
    Service("api", "services.ingest.api", "LOVLA_API_PORT", own_door=True, health="/readyz"),
    Service(
        "mailbox",
        "deploy.local.mailbox_process",
        "LOVLA_STACK_MAILBOX_PORT",
        own_door=True,
        also=(("smtp", "LOVLA_SMTP_PORT"),),
    ),
    Service("alerts-worker", "services.alerts.worker", "LOVLA_STACK_ALERTS_WORKER_PORT"),
    Service("sender", "services.alerts.sender", "LOVLA_STACK_SENDER_PORT"),
    Service("alerts-api", "services.alerts.api", "LOVLA_ALERTS_PORT", own_door=True, health="/readyz"),
    Service("console", "services.console.app", "LOVLA_CONSOLE_PORT", own_door=True, health="/readyz"),
)
"""In the order of starting: who reads before who lets in."""


@dataclass(frozen=True, slots=True)
class ServicePart:
    """One of our services as a process of the stack in `state_dir` (absolute)."""

    service: Service
    state_dir: Path
    port: int
    told: Mapping[str, str] = field(hash=False, repr=False)  # the settings of lovla.env: secrets among them

    @property
    def name(self) -> str:
        return self.service.name

    @property
    def ports(self) -> dict[str, int]:
        return {self.name: self.port} | {name: int(self.told[setting]) for name, setting in self.service.also}

    @property
    def log(self) -> Path:
        return self.state_dir / "log" / f"{self.name}.log"

    @property
    def server_log(self) -> Path:
        return self.log

    @property
    def cwd(self) -> Path:
        return self.state_dir

    def prepare(self) -> None:
        """Nothing: a service finds its settings in the state folder."""

    def argv(self) -> list[str]:
        # -P: what lies in the working folder is never imported
        return [sys.executable, "-P", "-m", self.service.module]

    def env(self) -> dict[str, str]:
        """What is in lovla.env is read from there, so that no secret stands in the process's environment."""
        inherited = {name: value for name, value in os.environ.items() if name not in self.told}
        inherited["LOVLA_STATE_DIR"] = str(self.state_dir)
        if not self.service.own_door:
            inherited["LOVLA_METRICS_PORT"] = str(self.port)
        return inherited

    def not_ready(self) -> str | None:
        """Ready when its health page says 200."""
        nobody = refused(self.port)
        if nobody is not None:
            return nobody
        try:
            status, text = page(self.port, self.service.health)
        except (OSError, HTTPException) as error:
            return f"{self.service.health}: {type(error).__name__}"
        said = " ".join(text[:200].split())
        return None if status == 200 else f"{self.service.health} says {status}: {said}"
