"""What is asked of a consignment right after its registration is read after it, whoever asks."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from schemas.topics import CONSIGNMENT_COMMANDS
from services.runtime.settings import Settings
from tests.integration.ingest.conftest import Api, Process, add_sender
from tests.integration.ingest.records import read_all
from tests.integration.ingest.test_door import post
from tests.unit.ingest.test_api import DECLARATION
from tests.waiting import eventually

DOCKS = tuple(f"H-ORDER{number}" for number in range(8))  # eight codes: never all in the buyer's partition


def test_a_docks_receipt_is_read_after_the_registration_that_it_follows(api: Api, settings: Settings) -> None:
    buyer, _ = add_sender(settings, "ORDERB", "buyer", "register")
    docks = [add_sender(settings, code, "consignee", "push")[0] for code in DOCKS]
    eventually(lambda: post(api, "/v1/consignments", buyer, json=DECLARATION | {"consignment": "ORDERB-0"}).status_code == 202)
    occurred_at = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    count = {"occurred_at": occurred_at, "lines": [{"line": 1, "good": 5}]}
    eventually(lambda: post(api, "/v1/consignments/ORDERB-0/dock-receipt", docks[-1], json=count).status_code == 202)
    for number, dock in enumerate(docks, start=1):
        name = f"ORDERB-{number}"
        assert post(api, "/v1/consignments", buyer, json=DECLARATION | {"consignment": name}).status_code == 202
        assert post(api, f"/v1/consignments/{name}/dock-receipt", dock, json=count).status_code == 202
    readers = Process("services.ingest.readers_stage", settings, api.log.with_name("order-readers.log"))
    try:

        def asked() -> list[tuple[str, str]]:
            ours = [
                record for record in read_all(settings, CONSIGNMENT_COMMANDS.name) if (record.key or b"").startswith(b"ORDERB-")
            ]
            values = [json.loads(record.value or b"") for record in ours]
            found = [(value["consignment"], value["command"]) for value in values]
            return [one for one in found if one[0] != "ORDERB-0"]

        eventually(lambda: len(asked()) == 2 * len(DOCKS))
        assert asked() == [(f"ORDERB-{n}", what) for n in range(1, 9) for what in ("register", "receive")]
    finally:
        readers.stop()
