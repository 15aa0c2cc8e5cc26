-- How the consignments that are under way stand, in one row. {day}: when the viewer's day began.
SELECT
    countIf(is_open) AS open,
    countIf(is_open AND notEmpty(open_kinds)) AS in_trouble,
    countIf(is_open AND has(open_kinds, 'late')) AS late,
    countIf(is_open AND has(open_kinds, 'will_be_late')) AS will_be_late,
    countIf(is_open AND has(open_kinds, 'overdue')) AS overdue,
    countIf(is_open AND has(open_kinds, 'on_hold')) AS on_hold,
    countIf(is_open AND has(open_kinds, 'dwell')) AS dwell,
    countIf(is_open AND has(open_kinds, 'silent')) AS silent,
    (
        SELECT count()
        FROM journeys FINAL
        WHERE consignment IN
        (
            SELECT consignment FROM journey_finds
            WHERE kind = 'delivered' AND word >= toString(toDate({day:DateTime64(3, 'UTC')}))
        )
        AND arrayExists(m -> m.milestone = 'delivered' AND m.leg = '' AND m.actual >= {day:DateTime64(3, 'UTC')}, milestones)
    ) AS delivered_today
FROM
(
    SELECT open_kinds, stage NOT IN ('delivered', 'cancelled') AS is_open
    FROM open_journeys FINAL
)
