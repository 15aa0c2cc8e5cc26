-- What each sender says of when a vessel or flight arrives: its newest estimate (or plan) for the open consignments on it, of at most
-- {most} of them. It stands in the journeys' own records, which keep the newest of each sender.
SELECT
    sender,
    argMax(arrives, said_at) AS arrival,
    argMax(classifier, said_at) AS classifier,
    max(said_at) AS heard,
    min(arrives) AS earliest,
    max(arrives) AS latest,
    uniqExact(consignment) AS consignments
FROM
(
    SELECT
        consignment,
        JSONExtractString(said, 'sender') AS sender,
        JSONExtractString(said, 'classifier') AS classifier,
        parseDateTime64BestEffortOrZero(JSONExtractString(said, 'occurred_at'), 3, 'UTC') AS arrives,
        parseDateTime64BestEffortOrZero(JSONExtractString(said, 'received_at'), 3, 'UTC') AS said_at
    FROM
    (
        SELECT consignment, arrayJoin(JSONExtractArrayRaw(record, 'statements')) AS said
        FROM journeys FINAL
        PREWHERE consignment IN
        (
            SELECT consignment
            FROM open_journeys FINAL
            WHERE vessel = {vessel:String} AND stage NOT IN ('delivered', 'cancelled')
            ORDER BY consignment
            LIMIT {most:UInt32}
        )
    )
    WHERE JSONExtractString(said, 'milestone') = 'arrived' AND JSONExtractString(said, 'leg') = ''
        AND JSONExtractString(said, 'classifier') IN ('estimated', 'planned')
)
GROUP BY sender
ORDER BY heard DESC, sender
