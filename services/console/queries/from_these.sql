-- Those of a page, by {ids}, of all that ever were.
-- worked_on.sql --
PREWHERE consignment IN ({ids:Array(String)})
UNION ALL
-- ended.sql --
FROM journeys FINAL
PREWHERE consignment IN ({ids:Array(String)})
WHERE consignment NOT IN (SELECT consignment FROM open_journeys FINAL PREWHERE consignment IN ({ids:Array(String)}))
