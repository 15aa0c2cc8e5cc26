-- What senders said: one row a record of shipment.events.v1; control records (ticks, parked, unparked) are rows of that kind.
-- `record` is the whole event as JSON; the columns are those that questions ask for.
CREATE TABLE IF NOT EXISTS shipment_events
(
    k_topic LowCardinality(String),
    k_partition UInt32,
    k_offset UInt64,
    k_time DateTime64(3, 'UTC'),
    kind LowCardinality(String),
    sender LowCardinality(String),
    event_id String,
    source_id String,
    standard LowCardinality(String),
    code LowCardinality(String),
    milestone LowCardinality(String),
    mapped Bool,
    classifier LowCardinality(String),
    occurred_at DateTime64(3, 'UTC'),
    received_at DateTime64(3, 'UTC'),
    revision_at DateTime64(3, 'UTC'),
    revision_reader UInt64,
    revision_content String,
    references Array(Tuple(kind String, value String)),
    place_unlocode LowCardinality(String),
    place_facility LowCardinality(String),
    mode LowCardinality(String),
    vessel String,
    imo LowCardinality(String),
    voyage String,
    flight String,
    retracts String,
    retracted Bool,
    warnings Array(String),
    cause LowCardinality(String),
    recorded_by String,
    raw_sha256 String,
    raw_partition Int64,
    raw_offset Int64,
    raw_position String,
    record String CODEC(ZSTD(3)),
    undecodable Bool,
    INDEX by_offset k_offset TYPE minmax GRANULARITY 1,
    INDEX by_event event_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(k_time)
ORDER BY (kind, sender, received_at, k_partition, k_offset)
SETTINGS non_replicated_deduplication_window = 100000;
