-- Every request as it was sent: one row a record of raw.messages.v1, ticks too (kind tick leads, so questions skip them).
-- The deduplication window must outlast the longest retry of a planned block (docs/architecture.md, "The sink").
CREATE TABLE IF NOT EXISTS raw_messages
(
    k_topic LowCardinality(String),
    k_partition UInt32,
    k_offset UInt64,
    k_time DateTime64(3, 'UTC'),
    kind LowCardinality(String),
    sender LowCardinality(String),
    sha256 String,
    content_type LowCardinality(String),
    content_encoding LowCardinality(String),
    standard LowCardinality(String),
    received_at DateTime64(3, 'UTC'),
    cause LowCardinality(String),
    consignment String,
    recorded_by String,
    request_id String,
    headers Array(Tuple(name String, value String)),
    payload String CODEC(ZSTD(3)),
    payload_bytes UInt64,
    undecodable Bool,
    INDEX by_offset k_offset TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(k_time)
ORDER BY (kind, sender, k_partition, k_offset)
SETTINGS non_replicated_deduplication_window = 100000;
