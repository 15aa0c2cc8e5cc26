-- {ids} (hits.sql), ended or not, with what they are called by; and what somebody works on, for a word in the name of a vessel or
-- hospital: that may change with a version, so it is asked of the newest alone.
SELECT
    -- shown.sql --,
    delivered_at,
    references.value AS names,
    wrong,
    exceptions,
    true AS found
FROM open_journeys FINAL
PREWHERE consignment IN ({ids:Array(String)})
UNION ALL
-- worked_on.sql --
WHERE consignment NOT IN ({ids:Array(String)})
    AND (
        positionCaseInsensitiveUTF8(vessel, {text:String}) > 0
        OR facility IN (SELECT code FROM facilities FINAL WHERE positionCaseInsensitiveUTF8(name, {text:String}) > 0)
    )
UNION ALL
-- ended.sql --
FROM journeys FINAL
PREWHERE consignment IN ({ids:Array(String)})
WHERE consignment NOT IN (SELECT consignment FROM open_journeys FINAL PREWHERE consignment IN ({ids:Array(String)}))
