"""What the API says of itself is committed, and compared."""

from __future__ import annotations

from services.ingest.openapi_export import FILE, document


def test_what_is_committed_is_what_the_api_says() -> None:
    assert FILE.read_text() == document(), "run `make generate`"
