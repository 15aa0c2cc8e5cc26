-- What was due to whom, what was tried, and who agreed to what: one row a record of notifications.v1, deliveries.v1 and
-- consent.v1. No addresses: those stand in subscriptions.v1, which is never sunk.
CREATE TABLE IF NOT EXISTS notifications
(
    k_topic LowCardinality(String),
    k_partition UInt32,
    k_offset UInt64,
    k_time DateTime64(3, 'UTC'),
    subscription String,
    notification String,
    changes Array(String),
    due_at DateTime64(3, 'UTC'),
    subject String,
    record String CODEC(ZSTD(3)),
    undecodable Bool,
    INDEX by_offset k_offset TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(k_time)
ORDER BY (subscription, due_at, k_partition, k_offset)
SETTINGS non_replicated_deduplication_window = 100000;

CREATE TABLE IF NOT EXISTS deliveries
(
    k_topic LowCardinality(String),
    k_partition UInt32,
    k_offset UInt64,
    k_time DateTime64(3, 'UTC'),
    subscription String,
    notification String,
    attempt UInt64,
    state LowCardinality(String),
    provider LowCardinality(String),
    provider_ref String,
    at DateTime64(3, 'UTC'),
    text String,
    record String CODEC(ZSTD(3)),
    undecodable Bool,
    INDEX by_offset k_offset TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(k_time)
ORDER BY (subscription, notification, attempt, k_partition, k_offset)
SETTINGS non_replicated_deduplication_window = 100000;

CREATE TABLE IF NOT EXISTS consent
(
    k_topic LowCardinality(String),
    k_partition UInt32,
    k_offset UInt64,
    k_time DateTime64(3, 'UTC'),
    subscription String,
    act LowCardinality(String),
    at DateTime64(3, 'UTC'),
    source String,
    record String CODEC(ZSTD(3)),
    undecodable Bool,
    INDEX by_offset k_offset TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(k_time)
ORDER BY (subscription, at, k_partition, k_offset)
SETTINGS non_replicated_deduplication_window = 100000;
