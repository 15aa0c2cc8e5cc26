-- What somebody works on, and what was delivered since {delivered_since} and has left that table by the server's clock.
SELECT
    -- shown.sql --,
    wrong,
    exceptions,
    false AS found
FROM open_journeys FINAL
UNION ALL
-- from_all.sql --
PREWHERE consignment IN
(
    SELECT consignment FROM journey_finds
    WHERE {delivered_since:DateTime64(3, 'UTC')} < today() - 2 AND kind = 'delivered'
        AND word >= toString(toDate({delivered_since:DateTime64(3, 'UTC')}))
)
WHERE consignment NOT IN (SELECT consignment FROM open_journeys FINAL)
