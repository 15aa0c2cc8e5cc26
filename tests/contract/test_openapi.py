"""What the API says of itself is committed, and compared."""

from __future__ import annotations

import json

from services.ingest.openapi_export import FILE, document


def test_what_is_committed_is_what_the_api_says() -> None:
    assert FILE.read_text() == document(), "run `make generate`"


def test_every_way_to_sign_in_that_an_address_names_is_described() -> None:
    said = json.loads(document())
    ways = [way for path in said["paths"].values() for way in path.values()]
    named = {name for way in ways for one in way.get("security", ()) for name in one}
    assert named == {"key"} == set(said["components"]["securitySchemes"])
