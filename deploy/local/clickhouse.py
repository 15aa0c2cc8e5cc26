"""ClickHouse as a part of the local stack: the real server that the package chdb-core holds, in a process of its own.

The embedded server must start as the user `default`, from loopback, without a password. Over the network that user is
of no use: it may hold one session, which the embedded one is, and it has hardly a right. People and services come as
`writer`, `reader` or `admin`, with passwords.
"""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from xml.sax.saxutils import escape

import psutil

from deploy.local.part import page, refused

DATABASE = "lovla"
KEPT_FREE_BYTES = 256 * 1024**2
"""Below it inserts are refused and merges not begun. A merge that meets the end of the disk was seen to leave an empty part in
the place of good ones (26.9): the rows were gone; `lovla rebuild` makes them anew from Kafka."""
LOOKS, LOOKS_S = "background_processing_pool_thread_sleep_seconds_if_nothing_to_do", 10
"""After so long, and then ever more rarely, each table looks whether there is something to merge; an insert asks at once. It
would be 0.1 s: with some dozens of new tables half of what an idle server costs."""
COMPILING = ("compile_expressions", "compile_aggregate_expressions", "compile_sort_description")
RUNNER = Path(__file__).with_name("clickhouse_server.py")


@dataclass(frozen=True, slots=True)
class Passwords:
    writer: str
    reader: str
    admin: str

    def __repr__(self) -> str:
        return "Passwords(***)"


@dataclass(frozen=True, slots=True)
class ClickHouseServer:
    """One server on 127.0.0.1; everything it has lies below `directory`. `short_lived`: it compiles no expression, which pays
    only where the same is asked of very many rows again and again."""

    directory: Path
    tcp_port: int
    http_port: int
    passwords: Passwords
    short_lived: bool = False

    @property
    def name(self) -> str:
        return "clickhouse"

    @property
    def ports(self) -> dict[str, int]:
        return {"clickhouse": self.tcp_port, "clickhouse_http": self.http_port}

    @property
    def log(self) -> Path:
        return self.directory / "log" / "clickhouse.out"

    @property
    def server_log(self) -> Path:
        return self.directory / "log" / "clickhouse.err.log"

    @property
    def cwd(self) -> Path:
        return self.directory

    @property
    def data(self) -> Path:
        return self.directory / "data"

    def prepare(self) -> None:
        """Write the configuration (0600: it holds the passwords' hashes)."""
        (self.directory / "log").mkdir(parents=True, exist_ok=True)
        for name, text in (("config.xml", self.config()), ("users.xml", self.users())):
            path = self.directory / name
            path.touch(mode=0o600)
            path.write_text(text, encoding="utf-8")

    def config(self) -> str:
        """config.xml, found by the server in its working folder."""
        memory = min(4 * 1024**3, psutil.virtual_memory().total // 2)
        log = escape(str(self.directory / "log" / "clickhouse"))
        return f"""<clickhouse>
  <logger>
    <level>information</level><log>{log}.log</log><errorlog>{log}.err.log</errorlog>
    <size>10M</size><count>3</count><console>0</console>
  </logger>
  <listen_host>127.0.0.1</listen_host>
  <tcp_port>{self.tcp_port}</tcp_port>
  <http_port>{self.http_port}</http_port>
  <timezone>UTC</timezone>
  <max_server_memory_usage>{memory}</max_server_memory_usage>
  <{LOOKS}>{LOOKS_S}</{LOOKS}>
  <storage_configuration><disks><default>
    <keep_free_space_bytes>{KEPT_FREE_BYTES}</keep_free_space_bytes>
  </default></disks></storage_configuration>
  <users_config>{escape(str(self.directory / "users.xml"))}</users_config>
</clickhouse>
"""

    def users(self) -> str:
        """users.xml: who may what. The reader's limits can be lowered by a query, not lifted."""
        reader_limits = {
            "max_execution_time": (30, 1, 300),  # seconds; 0 would mean without end
            "max_memory_usage": (1_000_000_000, 1, 2_000_000_000),  # bytes
            "max_result_rows": (1_000_000, 1, 1_000_000),
            "max_rows_to_read": (1_000_000_000, 1, 1_000_000_000),
        }
        compiled = "".join(f"<{name}>0</{name}>" for name in COMPILING) if self.short_lived else ""
        limits = "".join(f"<{name}>{usual}</{name}>" for name, (usual, _, _) in reader_limits.items())
        bounds = "".join(
            f"<{name}><min>{least}</min><max>{most}</max></{name}>" for name, (_, least, most) in reader_limits.items()
        )
        return f"""<clickhouse>
  <profiles>
    <default>{compiled}</default>
    <bootstrap><max_sessions_for_user>1</max_sessions_for_user></bootstrap>
    <reader><readonly>2</readonly>{compiled}{limits}<constraints>{bounds}</constraints></reader>
  </profiles>
  <quotas><default/></quotas>
  <users>
    <default>
      <no_password/>{_from_here("bootstrap")}
      <grants><query>GRANT SYSTEM LISTEN ON *.*</query><query>GRANT SELECT ON system.numbers</query></grants>
    </default>
    <admin>{_password(self.passwords.admin)}{_from_here("default")}<access_management>1</access_management></admin>
    <writer>
      {_password(self.passwords.writer)}{_from_here("default")}
      <grants><query>GRANT SELECT, INSERT ON {DATABASE}.*</query></grants>
    </writer>
    <reader>
      {_password(self.passwords.reader)}{_from_here("reader")}
      <grants><query>GRANT SELECT ON {DATABASE}.*</query></grants>
    </reader>
  </users>
</clickhouse>
"""

    def argv(self) -> list[str]:
        return [sys.executable, str(RUNNER), str(self.data)]

    def env(self) -> dict[str, str]:
        return dict(os.environ)

    def not_ready(self) -> str | None:
        """Ready when both doors answer."""
        answer = refused(self.tcp_port) or self.query("SELECT 1")
        if answer is not None:
            return answer
        try:
            status, text = page(self.http_port, "/ping", timeout_s=2)
        except (OSError, HTTPException) as error:
            return f"HTTP: {type(error).__name__}"
        return None if status == 200 else f"HTTP: {status} {text[:200]}"

    def query(self, sql: str) -> str | None:
        """Run a statement as admin on the native port; None, or why it failed."""
        from clickhouse_driver import Client
        from clickhouse_driver.errors import Error

        client = Client(
            "127.0.0.1",
            port=self.tcp_port,
            user="admin",
            password=self.passwords.admin,
            connect_timeout=2,
            send_receive_timeout=10,
            sync_request_timeout=2,
        )
        try:
            client.execute(sql)
        except (Error, OSError, EOFError) as error:
            return str(error).splitlines()[0] if str(error) else type(error).__name__
        finally:
            client.disconnect()
        return None


def _password(password: str) -> str:
    return f"<password_sha256_hex>{hashlib.sha256(password.encode()).hexdigest()}</password_sha256_hex>"


def _from_here(profile: str) -> str:
    return f"<networks><ip>127.0.0.1</ip></networks><profile>{profile}</profile><quota>default</quota>"
