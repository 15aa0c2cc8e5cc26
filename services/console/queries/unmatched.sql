-- Events of which no consignment has any reference that links: by sender and reference, the newest first.
-- As the tracker links (services/tracker/event_store.py, linking_references): a voyage only where nothing else is named. A box
-- that nobody has, on a ship that somebody waits for, is the commonest slip of the pen, and must be seen here.
SELECT
    sender,
    links[1].1 AS kind,
    links[1].2 AS value,
    count() AS events,
    groupUniqArray(5)(newest_code) AS codes,
    min(first_received) AS first_at,
    max(first_received) AS last_at,
    argMax(event_id, first_received) AS example
FROM
(
    SELECT
        sender,
        event_id,
        argMax((references, code, retracted), (revision_at, revision_reader, revision_content)) AS newest,
        arraySort(arrayFilter(r -> has({linking:Array(String)}, r.1), newest.1)) AS named,
        arrayFilter(r -> r.1 != 'voyage', named) AS closer,
        if(empty(closer), named, closer) AS links,
        newest.2 AS newest_code,
        min(received_at) AS first_received
    FROM shipment_events
    WHERE kind = 'event' AND received_at >= {since:DateTime64(3, 'UTC')}
        AND ({sender:String} = '' OR sender = {sender:String})
    GROUP BY sender, event_id
    HAVING notEmpty(links) AND NOT newest.3
)
WHERE NOT arrayExists(
    r -> (r.1, r.2) IN
    (
        SELECT reference.kind, reference.value FROM journeys FINAL ARRAY JOIN references AS reference
        UNION DISTINCT SELECT 'consignment', consignment FROM journeys FINAL
    ),
    links
)
GROUP BY sender, kind, value
ORDER BY last_at DESC, sender, kind, value
LIMIT {limit:UInt32}
