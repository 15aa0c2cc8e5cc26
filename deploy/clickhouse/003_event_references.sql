-- Which events name a reference, by value: for `lovla find` and `lovla unmatched`. One row an event record and reference.
-- Replacing, because the sink fills it again after some crashes (services/sink/logs.py, "Recovery").
CREATE TABLE IF NOT EXISTS event_references
(
    value String,
    kind LowCardinality(String),
    sender LowCardinality(String),
    event_id String,
    revision_at DateTime64(3, 'UTC'),
    revision_reader UInt64,
    revision_content String,
    standard LowCardinality(String),
    code LowCardinality(String),
    milestone LowCardinality(String),
    classifier LowCardinality(String),
    occurred_at DateTime64(3, 'UTC'),
    received_at DateTime64(3, 'UTC'),
    retracted Bool,
    k_partition UInt32,
    k_offset UInt64
)
ENGINE = ReplacingMergeTree
ORDER BY (value, kind, k_partition, k_offset);

-- Named <target>__from__<source>: the sink finds the views of a table by it.
CREATE MATERIALIZED VIEW IF NOT EXISTS event_references__from__shipment_events TO event_references AS
SELECT
    reference.value AS value,
    reference.kind AS kind,
    sender,
    event_id,
    revision_at,
    revision_reader,
    revision_content,
    standard,
    code,
    milestone,
    classifier,
    occurred_at,
    received_at,
    retracted,
    k_partition,
    k_offset
FROM shipment_events
ARRAY JOIN references AS reference
WHERE shipment_events.kind = 'event';
