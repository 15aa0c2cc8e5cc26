-- Who pushes, and where things are: senders.v1 and facilities.v1. The version is the offset (one partition each);
-- a tombstone is a row marked deleted, which FINAL leaves out.
CREATE TABLE IF NOT EXISTS senders
(
    code String,
    version UInt64,
    deleted UInt8,
    kind LowCardinality(String),
    name String,
    scac LowCardinality(String),
    active Bool,
    silent_after_h Nullable(Float64),
    record String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(version, deleted)
ORDER BY code;

CREATE TABLE IF NOT EXISTS facilities
(
    code String,
    version UInt64,
    deleted UInt8,
    kind LowCardinality(String),
    name String,
    unlocode LowCardinality(String),
    iata LowCardinality(String),
    zone LowCardinality(String),
    city String,
    free_time_h Nullable(Float64),
    record String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(version, deleted)
ORDER BY code;

-- Records of compacted topics that could not be decoded: kept, so that nothing is dropped in silence.
CREATE TABLE IF NOT EXISTS undecodable_states
(
    k_topic LowCardinality(String),
    k_partition UInt32,
    k_offset UInt64,
    k_time DateTime64(3, 'UTC'),
    key String,
    record String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree
ORDER BY (k_topic, k_partition, k_offset);
