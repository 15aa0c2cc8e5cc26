-- {ids} (hits.sql), ended or not; and what somebody works on, for a word in the name of a vessel or hospital.
SELECT
    -- shown.sql --,
    wrong,
    exceptions,
    toBool(consignment IN ({ids:Array(String)})) AS found
FROM open_journeys FINAL
WHERE found
    OR positionCaseInsensitiveUTF8(vessel, {text:String}) > 0
    OR facility IN (SELECT code FROM facilities FINAL WHERE positionCaseInsensitiveUTF8(name, {text:String}) > 0)
UNION ALL
-- ended.sql --
FROM journeys FINAL
PREWHERE consignment IN ({ids:Array(String)})
WHERE consignment NOT IN (SELECT consignment FROM open_journeys FINAL PREWHERE consignment IN ({ids:Array(String)}))
