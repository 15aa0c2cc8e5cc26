-- How the consignments that are under way stand, in one row. {delivered_since}: when the viewer's day began.
SELECT
    countIf(is_open) AS open,
    countIf(is_open AND notEmpty(open_kinds)) AS in_trouble,
    countIf(is_open AND has(open_kinds, 'late')) AS late,
    countIf(is_open AND has(open_kinds, 'will_be_late')) AS will_be_late,
    countIf(is_open AND has(open_kinds, 'overdue')) AS overdue,
    countIf(is_open AND has(open_kinds, 'on_hold')) AS on_hold,
    countIf(is_open AND has(open_kinds, 'dwell')) AS dwell,
    countIf(is_open AND has(open_kinds, 'silent')) AS silent,
    countIf(delivered_at >= {delivered_since:DateTime64(3, 'UTC')}) AS delivered_today
FROM
(
    SELECT
        open_kinds,
        delivered_at,
        stage NOT IN ('delivered', 'cancelled') AS is_open
    FROM
    (
    -- IF long_ago --
    -- from_delivered.sql --
    -- ELSE --
    -- worked_on.sql --
    -- END --
    )
)
