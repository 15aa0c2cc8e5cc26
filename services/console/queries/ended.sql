SELECT
    -- shown.sql --,
    arrayFirst(m -> m.milestone = 'delivered' AND m.leg = '', milestones).actual AS delivered_at,
    references.value AS names,
    -- nothing is wrong with it, and to read that of a million is dear
    CAST([], 'Array(Tuple(rank UInt8, kind String, hours Nullable(Float64), base Nullable(DateTime64(3, \'UTC\'))))') AS wrong,
    CAST([], 'Array(Tuple(key String, kind String, milestone String, status String, severity String, start DateTime64(3, \'UTC\'), end Nullable(DateTime64(3, \'UTC\')), late_h Nullable(Float64), party String, sentence String))') AS exceptions,
    true AS found
