-- What buyers, operators and docks asked: one row a record of consignment.commands.v1; control records are rows of that kind.
CREATE TABLE IF NOT EXISTS consignment_commands
(
    k_topic LowCardinality(String),
    k_partition UInt32,
    k_offset UInt64,
    k_time DateTime64(3, 'UTC'),
    kind LowCardinality(String),
    consignment String,
    command LowCardinality(String),
    command_id String,
    sender LowCardinality(String),
    operator Bool,
    recorded_by String,
    received_at DateTime64(3, 'UTC'),
    cause LowCardinality(String),
    raw_partition Int64,
    raw_offset Int64,
    record String CODEC(ZSTD(3)),
    undecodable Bool,
    INDEX by_offset k_offset TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(k_time)
ORDER BY (kind, consignment, k_partition, k_offset)
SETTINGS non_replicated_deduplication_window = 100000;
