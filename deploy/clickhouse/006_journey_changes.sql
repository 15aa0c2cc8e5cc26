-- What happened to journeys, once each: one row a record of journey.changes.v1.
CREATE TABLE IF NOT EXISTS journey_changes
(
    k_topic LowCardinality(String),
    k_partition UInt32,
    k_offset UInt64,
    k_time DateTime64(3, 'UTC'),
    kind LowCardinality(String),
    consignment String,
    version UInt64,
    ordinal UInt64,
    change_id String,
    cause LowCardinality(String),
    at DateTime64(3, 'UTC'),
    buyer LowCardinality(String),
    facility LowCardinality(String),
    tier UInt8,
    milestone LowCardinality(String),
    occurred_at Nullable(DateTime64(3, 'UTC')),
    sender LowCardinality(String),
    exception_key LowCardinality(String),
    exception_kind LowCardinality(String),
    severity LowCardinality(String),
    exception_start Nullable(DateTime64(3, 'UTC')),
    exception_end Nullable(DateTime64(3, 'UTC')),
    sentence String,
    command_id String,
    command LowCardinality(String),
    reason LowCardinality(String),
    record String CODEC(ZSTD(3)),
    undecodable Bool,
    INDEX by_offset k_offset TYPE minmax GRANULARITY 1,
    INDEX by_command command_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(k_time)
ORDER BY (consignment, version, ordinal, k_partition, k_offset)
SETTINGS non_replicated_deduplication_window = 100000;
