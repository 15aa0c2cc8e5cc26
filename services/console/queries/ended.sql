SELECT
    version,
    -- shown.sql --,
    -- nothing is wrong with what is no longer in open_journeys
    CAST([], 'Array(LowCardinality(String))') AS open_kinds,
    CAST([], 'Array(Tuple(rank UInt8, kind String, hours Nullable(Float64), base Nullable(DateTime64(3, \'UTC\'))))') AS wrong,
    CAST([], 'Array(Tuple(key String, kind String, milestone String, status String, severity String, start DateTime64(3, \'UTC\'), end Nullable(DateTime64(3, \'UTC\')), late_h Nullable(Float64), party String, sentence String))') AS exceptions,
    toUInt8(0) AS any_rank, 0. AS any_hours, toInt64(0) AS any_base, toUInt8(0) AS late_rank, 0. AS late_hours, toInt64(0) AS late_base
FROM journey_lines FINAL
