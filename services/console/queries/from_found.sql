-- from_found_open.sql --
UNION ALL
-- of {ids}, what has ended
-- ended.sql --
PREWHERE consignment IN ({ids:Array(String)})
WHERE consignment NOT IN (SELECT consignment FROM open_journeys FINAL PREWHERE consignment IN ({ids:Array(String)}))
