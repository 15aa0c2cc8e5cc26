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
    countIf(delivered_at >= {day:DateTime64(3, 'UTC')}) AS delivered_today
FROM
(
    SELECT
        open_kinds,
        delivered_at,
        stage NOT IN ('delivered', 'cancelled') AS is_open
    FROM open_journeys FINAL
    UNION ALL
    -- what ended days ago by the server's clock has left that table: where the asked day lies further back, it is counted here
    SELECT
        [] AS open_kinds,
        arrayFirst(m -> m.milestone = 'delivered' AND m.leg = '', milestones).actual AS delivered_at,
        false AS is_open
    FROM journeys FINAL
    PREWHERE consignment IN
    (
        SELECT consignment FROM journey_finds
        WHERE {day:DateTime64(3, 'UTC')} < today() - 2 AND kind = 'delivered'
            AND word >= toString(toDate({day:DateTime64(3, 'UTC')}))
    )
    -- asked of these alone: where the day is near, of none
    WHERE consignment NOT IN
    (
        SELECT consignment
        FROM open_journeys FINAL
        PREWHERE consignment IN
        (
            SELECT consignment FROM journey_finds
            WHERE {day:DateTime64(3, 'UTC')} < today() - 2 AND kind = 'delivered'
                AND word >= toString(toDate({day:DateTime64(3, 'UTC')}))
        )
    )
)
