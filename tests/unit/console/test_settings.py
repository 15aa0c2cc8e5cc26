"""What the console refuses to be told."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.console.settings import ConsoleSettings


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "console.example", "192.168.1.4"])
def test_a_demo_that_signs_in_whoever_comes_stays_on_this_machine(host: str) -> None:
    assert ConsoleSettings(kafka="127.0.0.1:1", console_host=host).console_host == host
    with pytest.raises(ValidationError, match="LOVLA_CONSOLE_HOST") as error:
        ConsoleSettings(kafka="127.0.0.1:1", console_host=host, console_demo=True)
    assert error.value.errors()[0]["loc"] == ("console_demo",)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "::1"])
def test_on_this_machine_it_may(host: str) -> None:
    assert ConsoleSettings(kafka="127.0.0.1:1", console_host=host, console_demo=True).console_demo
