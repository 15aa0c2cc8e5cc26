-- Codes that stand in no map, by sender: how many events say each, since when, and the newest of them, with where its bytes lie.
-- Of an event's revisions the newest counts: one that a map of today reads otherwise is no longer here.
-- `words`: what the sender itself calls it, as the reader's warning quotes it.
SELECT
    sender,
    newest_standard AS standard,
    newest_code AS code,
    count() AS events,
    min(first_received) AS first_at,
    max(first_received) AS last_at,
    argMax(event_id, first_received) AS example,
    argMax(bytes_at.1, first_received) AS raw_partition,
    argMax(bytes_at.2, first_received) AS raw_offset,
    argMax(bytes_at.3, first_received) AS raw_position,
    argMax(said, first_received) AS words
FROM
(
    SELECT
        sender,
        event_id,
        argMax(
            (mapped, standard, code, retracted, (raw_partition, raw_offset, raw_position), record),
            (revision_at, revision_reader, revision_content)
        ) AS newest,
        newest.2 AS newest_standard,
        newest.3 AS newest_code,
        newest.5 AS bytes_at,
        arrayFirst(w -> JSONExtractString(w, 'code') = 'unmapped_code', JSONExtractArrayRaw(newest.6, 'warnings')) AS warning,
        extract(JSONExtractString(warning, 'text'), '[(](.*)[)] is in no map') AS said,
        min(received_at) AS first_received
    FROM shipment_events
    WHERE kind = 'event' AND received_at >= {since:DateTime64(3, 'UTC')}
        AND ({sender:String} = '' OR sender = {sender:String})
        AND event_id IN
        (
            SELECT event_id FROM shipment_events
            WHERE kind = 'event' AND NOT mapped AND received_at >= {since:DateTime64(3, 'UTC')}
        )
    GROUP BY sender, event_id
    HAVING NOT newest.1 AND NOT newest.4
)
GROUP BY sender, standard, code
ORDER BY events DESC, sender, standard, code
LIMIT {limit:UInt32}
