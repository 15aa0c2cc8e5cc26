"""Settings: the environment over the file, and errors a user can act on."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from services.runtime.settings import ENV_FILE, Settings, SettingsError


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOVLA_KAFKA", "LOVLA_STATE_DIR", "LOVLA_SHARDS", "LOVLA_API_PORT"):
        monkeypatch.delenv(name, raising=False)


def test_the_file_is_read_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ENV_FILE).write_text("LOVLA_KAFKA=127.0.0.1:1\nLOVLA_API_PORT=81\nLOVLA_SOMETHING_ELSE=x\n")
    monkeypatch.setenv("LOVLA_API_PORT", "82")
    monkeypatch.setenv("LOVLA_STATE_DIR", str(tmp_path))
    settings = Settings.load()
    assert (settings.kafka, settings.api_port, settings.state_dir) == ("127.0.0.1:1", 82, tmp_path)


def test_without_a_stack_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"there is no stack in .*lovla up.*LOVLA_KAFKA"):
        Settings.load(tmp_path)


def test_a_wrong_value_is_named_but_not_shown(tmp_path: Path) -> None:
    (tmp_path / ENV_FILE).write_text("LOVLA_KAFKA=127.0.0.1:1\nLOVLA_SHARDS=many-secret-things\n")
    with pytest.raises(SettingsError, match="LOVLA_SHARDS") as wrong:
        Settings.load(tmp_path)
    assert "many-secret-things" not in str(wrong.value)


def test_secrets_print_as_stars_and_nothing_can_be_changed() -> None:
    settings = Settings(kafka="127.0.0.1:1", clickhouse_writer_password="hunter2")
    assert "hunter2" not in repr(settings) + str(settings) + settings.model_dump_json()
    with pytest.raises(ValidationError):
        settings.kafka = "elsewhere:1"  # type: ignore[misc]  # frozen, which is what this shows
