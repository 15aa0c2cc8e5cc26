-- What people did about consignments (acknowledged, assigned, snoozed, noted, undid): one row a record of work.acts.v1. What holds
-- now is the newest of each kind whose act_id no undo names.
CREATE TABLE IF NOT EXISTS work_acts
(
    k_topic LowCardinality(String),
    k_partition UInt32,
    k_offset UInt64,
    k_time DateTime64(3, 'UTC'),
    consignment String,
    act LowCardinality(String),
    act_id String,
    at DateTime64(3, 'UTC'),
    by String,
    sender LowCardinality(String),
    exceptions Array(String),
    assignee String,
    until Nullable(DateTime64(3, 'UTC')),
    text String,
    undoes String,
    record String CODEC(ZSTD(3)),
    undecodable Bool,
    INDEX by_offset k_offset TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(k_time)
ORDER BY (consignment, at, k_partition, k_offset)
SETTINGS non_replicated_deduplication_window = 100000;
