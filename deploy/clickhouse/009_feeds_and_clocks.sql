-- The other records of journeys.v1: each sender's feed, and what each shard of the tracker knows of time.
CREATE TABLE IF NOT EXISTS feeds
(
    sender String,
    version UInt64,
    sender_kind LowCardinality(String),
    at Nullable(DateTime64(3, 'UTC')),
    last_event_at DateTime64(3, 'UTC'),
    silent_after_h Float64,
    silent_since Nullable(DateTime64(3, 'UTC')),
    sentence String,
    record String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY sender;

-- `t` is the least of the last ticks: the pipeline's time, null until every pair has spoken.
CREATE TABLE IF NOT EXISTS clocks
(
    clock String,
    version UInt64,
    t Nullable(DateTime64(3, 'UTC')),
    record String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY clock;
