-- What has {bare} in its id or in a reference, as its newest version says: the first {most} by their ids, whatever page is asked
-- for. {owner}: its own only.
SELECT consignment
FROM journey_lines FINAL
PREWHERE consignment IN (SELECT consignment FROM journey_lines WHERE position(names, {bare:String}) > 0)
WHERE position(names, {bare:String}) > 0
    -- IF owner --
    AND (buyer = {owner:String} OR carrier = {owner:String} OR has(parties.code, {owner:String}))
    -- END --
ORDER BY consignment
LIMIT {most:UInt32}
