"""What a process is told from outside: one frozen model, read from the environment over `<state_dir>/lovla.env`.

Nothing else in the project reads the environment. `lovla up` writes the file (KEY=value lines, mode 0600).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

ENV_FILE = "lovla.env"


class SettingsError(Exception):
    """The settings are missing or wrong; the text says which and what to do."""


class Settings(BaseSettings):
    """Every setting is `LOVLA_<NAME>`; secrets print as stars."""

    model_config = SettingsConfigDict(env_prefix="LOVLA_", frozen=True, extra="ignore")

    state_dir: Path = Path(".lovla")
    kafka: str = Field(description="bootstrap servers, host:port, comma separated")
    group_protocol: Literal["consumer", "classic"] = Field(
        "consumer", description="how consumer groups rebalance: KIP-848, or the classic protocol with cooperative-sticky"
    )
    clickhouse_host: str = "127.0.0.1"
    clickhouse_port: int = Field(9000, ge=1, le=65535, description="native protocol")
    clickhouse_http_port: int = Field(8123, ge=1, le=65535)
    clickhouse_database: str = Field("lovla", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")
    clickhouse_writer_password: SecretStr = SecretStr("")
    clickhouse_reader_password: SecretStr = SecretStr("")
    clickhouse_admin_password: SecretStr = SecretStr("")
    api_host: str = "127.0.0.1"
    api_port: int = Field(8080, ge=0, le=65535)
    secret_key: SecretStr = Field(SecretStr(""), description="Fernet key; the receipts' HMAC key is derived from it")
    shards: int = Field(1, ge=1, le=64, description="tracker shards; changing it is a refold")
    codemaps: Path | None = Field(
        None, description="folder of an operator's own code maps (*.toml); unset: codemaps in the state dir, if it is there"
    )
    mappings: Path | None = Field(
        None, description="folder of mapping files (*.toml) for partners' own CSV and JSON; unset: mappings in the state dir"
    )
    tick_s: float = Field(5.0, gt=0, le=30)
    metrics_port: int | None = Field(None, ge=0, le=65535, description="0: any free port; unset: none")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    failpoint: str = Field(
        "", description="tests only: `name` or `name:n` ends the process at the n-th passage; see failpoints.py"
    )
    life: str = Field("", description="set by a process alone, for its own next life; see lives.py")

    @classmethod
    def load(cls, state_dir: Path | None = None) -> Self:
        """Read the environment over the file in `state_dir` (else LOVLA_STATE_DIR, else `.lovla`).

        Raises SettingsError with a sentence a user can act on.
        """
        directory = state_dir or Path(os.environ.get("LOVLA_STATE_DIR", ".lovla"))
        file = directory / ENV_FILE
        try:
            return cls(_env_file=file, state_dir=directory)
        except ValidationError as error:
            wrong = ", ".join(f"LOVLA_{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
            if not file.exists():
                found = f"there is no stack in {directory.absolute()}: run `lovla up`, or name its folder by LOVLA_STATE_DIR"
                raise SettingsError(f"{found} ({wrong})") from None
            raise SettingsError(f"settings are missing or wrong ({wrong}); mend {file} or the environment") from None
