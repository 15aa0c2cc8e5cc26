-- What has {bare} in its id or in a reference: the first {most} by their ids, whatever page is asked for. {owner}: its own only.
-- That somebody owned an earlier version is enough here: what the newest says is asked of what is found (delayed.sql).
SELECT DISTINCT consignment
FROM journey_finds
WHERE kind = 'name' AND position(word, {bare:String}) > 0
    -- IF owner --
    AND consignment IN (
        SELECT consignment FROM journeys
        WHERE (buyer = {owner:String} OR carrier = {owner:String} OR has(parties.code, {owner:String}))
            AND consignment IN (SELECT consignment FROM journey_finds WHERE kind = 'name' AND position(word, {bare:String}) > 0)
    )
    -- END --
ORDER BY consignment
LIMIT {most:UInt32}
