-- Events of which no consignment has any linking reference: by sender and reference, the newest first.
SELECT
    sender,
    reference.1 AS kind,
    reference.2 AS value,
    count() AS events,
    groupUniqArray(5)(code) AS codes,
    min(received_at) AS first_at,
    max(received_at) AS last_at,
    argMax(event_id, received_at) AS example
FROM
(
    SELECT
        sender,
        event_id,
        arraySort(groupUniqArray((kind, value))) AS named,
        named[1] AS reference,
        argMax(code, (revision_at, revision_reader, revision_content)) AS code,
        argMax(retracted, (revision_at, revision_reader, revision_content)) AS withdrawn,
        min(received_at) AS received_at,
        max((kind, value) IN
        (
            SELECT reference.kind, reference.value FROM journeys FINAL ARRAY JOIN references AS reference
            UNION DISTINCT SELECT 'consignment', consignment FROM journeys FINAL
        )) AS owned
    FROM event_references FINAL
    WHERE kind IN {linking:Array(String)} AND ({sender:String} = '' OR sender = {sender:String})
    GROUP BY sender, event_id
    HAVING NOT owned AND NOT withdrawn
)
WHERE received_at >= {since:DateTime64(3, 'UTC')}
GROUP BY sender, reference
ORDER BY last_at DESC, sender, kind, value
LIMIT {limit:UInt32}
