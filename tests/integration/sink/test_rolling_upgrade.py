"""A rolling upgrade by a new optional field, with the real sink and ClickHouse: the column comes before or after the field."""

from __future__ import annotations

import json
import uuid

import pytest
from confluent_kafka import Producer

from schemas import topics
from services.runtime import kafka as kafka_clients
from services.runtime import wire
from services.runtime.clickhouse import connect
from services.runtime.settings import Settings
from tests.integration.sink.test_sink import event, settled, sink, until, write


@pytest.mark.parametrize("column", ["not there yet", "there already"])
def test_todays_sink_takes_events_of_a_newer_writer(settings: Settings, column: str) -> None:
    """Today's sink is the older one. With the column there already, it is an older sink over a newer table."""
    producer: Producer = kafka_clients.producer(settings, "test-upgrade")
    admin = connect(settings, "admin")
    newer, older = uuid.uuid4().hex, uuid.uuid4().hex
    if column == "there already":
        admin.execute("ALTER TABLE shipment_events ADD COLUMN colour LowCardinality(String)")
    try:
        said = json.loads(wire.dump(event(newer)))
        write(producer, topics.SHIPMENT_EVENTS, "MAEU", json.dumps(said | {"colour": "blue"}).encode())
        write(producer, topics.SHIPMENT_EVENTS, "MAEU", wire.dump(event(older)))
        producer.flush()
        with sink(settings):
            until(lambda: settled(settings, admin, topics.SHIPMENT_EVENTS), "every record a row, of both")
        rows = admin.query(
            "SELECT source_id, undecodable, JSONExtractString(record, 'colour') AS colour FROM shipment_events "
            "WHERE source_id IN ({a:String}, {b:String})",
            {"a": newer, "b": older},
        )
        assert {row["source_id"]: (row["undecodable"], row["colour"]) for row in rows} == {
            newer: (False, "blue"),  # what the table has no column for stands in `record`, for a column that comes later
            older: (False, ""),
        }
    finally:
        if column == "there already":
            admin.execute("ALTER TABLE shipment_events DROP COLUMN colour")
        admin.close()
