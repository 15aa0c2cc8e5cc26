-- What could not be read, linked in time or stored: one row a record of dead.letters.v1.
CREATE TABLE IF NOT EXISTS dead_letters
(
    k_topic LowCardinality(String),
    k_partition UInt32,
    k_offset UInt64,
    k_time DateTime64(3, 'UTC'),
    kind LowCardinality(String),
    sender LowCardinality(String),
    letter_id String,
    stage LowCardinality(String),
    reason LowCardinality(String),
    place String,
    text String,
    standard LowCardinality(String),
    source_topic LowCardinality(String),
    source_partition Int64,
    source_offset Int64,
    raw_partition Int64,
    raw_offset Int64,
    received_at DateTime64(3, 'UTC'),
    retryable Bool,
    record String CODEC(ZSTD(3)),
    undecodable Bool,
    INDEX by_offset k_offset TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(k_time)
ORDER BY (kind, sender, received_at, k_partition, k_offset)
SETTINGS non_replicated_deduplication_window = 100000;
