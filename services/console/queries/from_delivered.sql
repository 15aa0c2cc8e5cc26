-- What somebody works on, and what was delivered since {delivered_since} and has left that table.
-- worked_on.sql --
UNION ALL
-- ended.sql --
PREWHERE consignment IN
(
-- delivered.sql --
)
WHERE consignment NOT IN
(
    SELECT consignment
    FROM open_journeys FINAL
    PREWHERE consignment IN
    (
    -- delivered.sql --
    )
)
