-- Each unit's stay at the terminal of its consignment (journey_marks, deploy/clickhouse/015), in hours: what still stands there, and
-- what left since {since}. {now}.
SELECT
    terminal,
    mode,
    consignment,
    stay.unit AS unit,
    stay.base AS base,
    stay.left_at IS NOT NULL AS gone,
    ifNull(stay.left_at, {now:DateTime64(3, 'UTC')}) AS left_at,
    greatest(dateDiff('second', base, left_at), 0) / 3600 AS hours
FROM
(
    SELECT terminal, mode, consignment, stays
    FROM journey_marks FINAL
    WHERE notEmpty(stays) AND stage != 'cancelled'
)
ARRAY JOIN stays AS stay
WHERE stay.left_at IS NULL OR stay.left_at >= {since:DateTime64(3, 'UTC')}
