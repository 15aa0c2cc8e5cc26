-- Consignments whose id looks like the one that was not found.
SELECT consignment
FROM journeys FINAL
WHERE positionCaseInsensitive(consignment, {text:String}) > 0
ORDER BY consignment
LIMIT 5
