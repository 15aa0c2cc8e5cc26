-- What somebody works on, and what was delivered since {delivered_since} and has left that table by the server's clock.
-- worked_on.sql --
UNION ALL
SELECT
    -- shown.sql --,
    arrayFirst(m -> m.milestone = 'delivered' AND m.leg = '', milestones).actual AS delivered_at,
    [] AS names,
    -- wrong.sql --,
    arrayFilter(e -> e.status = 'open', exceptions) AS exceptions,
    false AS found
FROM journeys FINAL
PREWHERE consignment IN
(
    SELECT consignment FROM journey_finds
    WHERE {delivered_since:DateTime64(3, 'UTC')} < today() - 2 AND kind = 'delivered'
        AND word >= toString(toDate({delivered_since:DateTime64(3, 'UTC')}))
)
-- asked of these alone: where the day is near, of none
WHERE consignment NOT IN
(
    SELECT consignment
    FROM open_journeys FINAL
    PREWHERE consignment IN
    (
        SELECT consignment FROM journey_finds
        WHERE {delivered_since:DateTime64(3, 'UTC')} < today() - 2 AND kind = 'delivered'
            AND word >= toString(toDate({delivered_since:DateTime64(3, 'UTC')}))
    )
)
