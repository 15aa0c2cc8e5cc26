-- How consignments stand, in one row. {delivered_since}: when the viewer's day began. What is wrong is counted whether or not the goods
-- are delivered (short and conflict outlive delivery): each number is that of the list of its kind (delayed.sql).
SELECT
    countIf(is_open) AS open,
    countIf(notEmpty(open_kinds)) AS in_trouble,
    countIf(has(open_kinds, 'late')) AS late,
    countIf(has(open_kinds, 'will_be_late')) AS will_be_late,
    countIf(has(open_kinds, 'overdue')) AS overdue,
    countIf(has(open_kinds, 'on_hold')) AS on_hold,
    countIf(has(open_kinds, 'dwell')) AS dwell,
    countIf(has(open_kinds, 'silent')) AS silent,
    countIf(has(open_kinds, 'rolled')) AS rolled,
    countIf(has(open_kinds, 'misrouted')) AS misrouted,
    countIf(has(open_kinds, 'short')) AS short,
    countIf(has(open_kinds, 'conflict')) AS conflict,
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
