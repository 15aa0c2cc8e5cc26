"""The environment chooses where tests get their servers from, and what they may skip."""

from __future__ import annotations

import pytest

from tests.stack import missing, provider, required


def test_real_processes_are_the_default() -> None:
    assert provider("KAFKA", {}) == "local"
    assert provider("CLICKHOUSE", {"LOVLA_KAFKA": "127.0.0.1:9092"}) == "local"


def test_a_named_server_is_used_whatever_the_provider() -> None:
    assert provider("KAFKA", {"LOVLA_KAFKA": "127.0.0.1:9092", "LOVLA_PROVIDER": "docker"}) == "environment"
    assert provider("CLICKHOUSE", {"LOVLA_KAFKA": "127.0.0.1:9092", "LOVLA_PROVIDER": "docker"}) == "docker"


def test_an_unknown_provider_is_an_error() -> None:
    with pytest.raises(pytest.UsageError, match="local or docker"):
        provider("KAFKA", {"LOVLA_PROVIDER": "podman"})


def test_what_is_missing_is_skipped_with_its_reason() -> None:
    with pytest.raises(pytest.skip.Exception, match="no samples"):
        missing("samples", "no samples", {})


def test_what_is_required_and_missing_fails() -> None:
    environ = {"LOVLA_REQUIRE": "browser, samples"}
    assert required("samples", environ)
    assert not required("docker", environ)
    with pytest.raises(pytest.fail.Exception, match="no samples"):
        missing("samples", "no samples", environ)
