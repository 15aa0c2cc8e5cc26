-- {ids}, ended or not (hits.sql); and what somebody works on, for a word in the name of a vessel or hospital.
SELECT
    -- shown.sql --,
    -- wrong.sql --,
    arrayFilter(e -> e.status = 'open', exceptions) AS exceptions,
    true AS found
FROM journeys FINAL
PREWHERE consignment IN ({ids:Array(String)})
UNION ALL
-- worked_on.sql --
WHERE consignment NOT IN ({ids:Array(String)})
    AND (
        positionCaseInsensitiveUTF8(vessel, {text:String}) > 0
        OR facility IN (SELECT code FROM facilities FINAL WHERE positionCaseInsensitiveUTF8(name, {text:String}) > 0)
    )
