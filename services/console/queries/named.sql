-- What journeys name (and of carriers what was heard of them) that a list can be narrowed by: whoever was ever named, the newest
-- first. With {owner} in its consignments alone. ONE: whether one of {codes} is, or PART what {word} is a part of.
SELECT value
FROM
(
    SELECT
        -- IF hospital --
        toString(facility) AS value,
        -- END --
        -- IF terminal --
        toString(terminal) AS value,
        -- END --
        -- IF vessel --
        vessel AS value,
        -- END --
        -- IF carrier --
        arrayJoin(arrayPushBack(parties.code, toString(carrier))) AS value,
        -- END --
        version
    FROM journeys
    WHERE ({owner:String} = '' OR buyer = {owner:String})
    -- IF carrier --
    -- IF one --
    AND (carrier IN {codes:Array(String)} OR hasAny(parties.code, {codes:Array(String)}))
    -- END --
    -- END --
    -- IF heard --
    UNION ALL
    SELECT DISTINCT toString(sender), 0 FROM event_marks
    UNION ALL
    SELECT DISTINCT toString(sender), 0 FROM dead_letters
    UNION ALL
    SELECT sender, 0 FROM feeds
    -- END --
)
WHERE value != ''
-- IF one --
    -- IF part --
    AND positionCaseInsensitiveUTF8(value, {word:String}) > 0
    -- ELSE --
    AND value IN {codes:Array(String)}
    -- END --
LIMIT 1
-- ELSE --
GROUP BY value
ORDER BY max(version) DESC, value
LIMIT {limit:UInt32}
-- END --
