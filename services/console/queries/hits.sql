-- What has {bare} in its id or in a reference: at most 10,000, who asks for more must say more.
SELECT DISTINCT consignment
FROM journey_finds
WHERE kind = 'name' AND position(word, {bare:String}) > 0
LIMIT 10000
