-- Events of which no consignment has any reference that links: by sender and reference, the newest first.
-- As the tracker links (services/tracker/event_store.py, linking_references): a voyage only where nothing else is named. A box
-- that nobody has, on a ship that somebody waits for, is the commonest slip of the pen, and must be seen here.
SELECT
    sender,
    named_first.1 AS kind,
    named_first.2 AS value,
    count() AS events,
    groupUniqArray(5)(newest_code) AS codes,
    min(first_received) AS first_at,
    max(first_received) AS last_at,
    argMax(event_id, first_received) AS example
FROM
(
    -- simple types alone: states of tuples and arrays of many events fill the memory
    SELECT
        sender,
        event_id,
        argMax(toString(links[1].1), place_in_order) AS first_kind,
        argMax(links[1].2, place_in_order) AS first_value,
        (first_kind, first_value) AS named_first,
        argMax(toString(code), place_in_order) AS newest_code,
        argMax(toUInt8(unmatched), place_in_order) AS is_unmatched,
        min(received_at) AS first_received
    FROM
    (
        SELECT
            sender,
            event_id,
            code,
            received_at,
            arraySort(arrayFilter(r -> has({linking:Array(String)}, r.1), references)) AS named,
            arrayFilter(r -> r.1 != 'voyage', named) AS closer,
            if(empty(closer), named, closer) AS links,
            notEmpty(links) AND NOT retracted AND NOT arrayExists(
                r -> sipHash64(r.1, r.2) IN
                (
                    SELECT sipHash64(reference.kind, reference.value) FROM journeys FINAL ARRAY JOIN references AS reference
                    UNION ALL SELECT sipHash64('consignment', consignment) FROM journeys FINAL
                ),
                links
            ) AS unmatched,
            bitOr(
                bitOr(
                    bitShiftLeft(toUInt256(toUnixTimestamp64Milli(revision_at)), 128),
                    bitShiftLeft(toUInt256(revision_reader), 64)
                ),
                toUInt256(reinterpretAsUInt64(reverse(unhex(revision_content))))
            ) AS place_in_order
        FROM shipment_events
        WHERE kind = 'event' AND received_at >= {since:DateTime64(3, 'UTC')}
            AND ({sender:String} = '' OR sender = {sender:String})
            -- those of which some revision is unmatched: few, so that few are held in memory
            AND event_id IN
            (
                SELECT event_id
                FROM
                (
                    SELECT
                        event_id,
                        arrayFilter(r -> has({linking:Array(String)}, r.1), references) AS named,
                        arrayFilter(r -> r.1 != 'voyage', named) AS closer,
                        if(empty(closer), named, closer) AS links
                    FROM shipment_events
                    WHERE kind = 'event' AND received_at >= {since:DateTime64(3, 'UTC')}
                        AND ({sender:String} = '' OR sender = {sender:String})
                )
                WHERE notEmpty(links) AND NOT arrayExists(
                    r -> sipHash64(r.1, r.2) IN
                (
                    SELECT sipHash64(reference.kind, reference.value) FROM journeys FINAL ARRAY JOIN references AS reference
                    UNION ALL SELECT sipHash64('consignment', consignment) FROM journeys FINAL
                ),
                links
                )
            )
    )
    GROUP BY sender, event_id
    HAVING is_unmatched
)
GROUP BY sender, kind, value
ORDER BY last_at DESC, sender, kind, value
LIMIT {limit:UInt32}
SETTINGS max_bytes_before_external_group_by = 400000000
