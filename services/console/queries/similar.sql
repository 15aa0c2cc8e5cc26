-- Consignments whose id looks like the one that was not found.
SELECT DISTINCT consignment
FROM journeys
WHERE positionCaseInsensitive(consignment, {text:String}) > 0
ORDER BY consignment
LIMIT 5
