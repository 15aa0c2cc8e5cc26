-- Open consignments that are known by one of {words} (letters and digits alone), and who has standing there.
WITH arrayFirst(r -> replaceRegexpAll(upper(r.value), '[^A-Z0-9]', '') = word, references) AS hit
SELECT
    word,
    consignment,
    tupleElement(hit, 'kind') AS kind,
    tupleElement(hit, 'value') AS value,
    arrayConcat([toString(carrier), toString(terminal)], parties.code) AS parties
FROM
(
    SELECT consignment, carrier, terminal, parties, references
    FROM open_journeys FINAL
    PREWHERE consignment IN
    (
        SELECT consignment
        FROM journey_finds
        WHERE kind = 'name' AND word IN ({words:Array(String)})
    )
    WHERE stage NOT IN ('delivered', 'cancelled')
) AS journeys
INNER JOIN
(
    SELECT DISTINCT word, consignment
    FROM journey_finds
    WHERE kind = 'name' AND word IN ({words:Array(String)})
) AS finds USING (consignment)
WHERE value != ''
ORDER BY word, consignment
LIMIT {limit:UInt32}
