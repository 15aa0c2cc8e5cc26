-- What is known of consignments now: which statement is behind each milestone.
SELECT record
FROM journeys FINAL
WHERE has({consignments:Array(String)}, consignment)
