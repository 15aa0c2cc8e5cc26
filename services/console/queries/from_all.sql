-- Every consignment that ever was: what somebody works on, and what ended long ago with nothing wrong (0046).
-- worked_on.sql --
UNION ALL
-- ended.sql --
WHERE consignment NOT IN (SELECT consignment FROM open_journeys FINAL)
