-- The newest of each consignment: journeys.v1 as it is compacted (and what journey.changes.v1 says on closing).
-- No PARTITION BY: Replacing merges only within one. Arrays are read by ARRAY JOIN of the newest row; `record` is all of it.
CREATE TABLE IF NOT EXISTS journeys
(
    consignment String,
    version UInt64,
    cause LowCardinality(String),
    at Nullable(DateTime64(3, 'UTC')),
    buyer LowCardinality(String),
    stage LowCardinality(String),
    mode LowCardinality(String),
    tier UInt8,
    registered_at DateTime64(3, 'UTC'),
    required_by Nullable(DateTime64(3, 'UTC')),
    milestone LowCardinality(String),
    milestone_at Nullable(DateTime64(3, 'UTC')),
    place String,
    origin LowCardinality(String),
    port LowCardinality(String),
    facility LowCardinality(String),
    terminal LowCardinality(String),
    carrier LowCardinality(String),
    vessel String,
    voyage String,
    expected_delivery Nullable(DateTime64(3, 'UTC')),
    expected_basis LowCardinality(String),
    parties Array(Tuple(role String, code String)),
    items Array(Tuple(line UInt32, category String, description String, quantity UInt64, unit String, lot String)),
    delivered Array(Tuple(line UInt32, good UInt64, basis String)),
    milestones Array(Tuple(
        milestone String, leg String, planned Nullable(DateTime64(3, 'UTC')), estimated Nullable(DateTime64(3, 'UTC')),
        actual Nullable(DateTime64(3, 'UTC')), sender String, done UInt32, total UInt32)),
    units Array(Tuple(unit String, milestone String, at Nullable(DateTime64(3, 'UTC')), place String)),
    -- The deciding actuals of each unit ('' = the whole consignment): what dwell is measured by.
    moves Array(Tuple(unit String, milestone String, leg String, at DateTime64(3, 'UTC'), sender String)),
    references Array(Tuple(kind String, value String, how String)),
    exceptions Array(Tuple(
        key String, kind String, milestone String, status String, severity String, start DateTime64(3, 'UTC'),
        end Nullable(DateTime64(3, 'UTC')), late_h Nullable(Float64), party String, sentence String)),
    open_kinds Array(LowCardinality(String)),
    claims Array(Tuple(sender String, event_id String)),
    events UInt64,
    last_event_at Nullable(DateTime64(3, 'UTC')),
    record String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY consignment;
