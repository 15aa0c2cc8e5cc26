-- Events that name the reference; of each its greatest revision. `owned`: some consignment has a reference that links the event
-- (unmatched.sql has the same rule), be it this one or another that the event names.
SELECT
    event_id,
    sender,
    newest.1 AS standard,
    newest.2 AS code,
    newest.3 AS milestone,
    newest.4 AS classifier,
    newest.5 AS occurred_at,
    first_received AS received_at,
    hits[1].1 AS kind,
    hits[1].2 AS value,
    newest.6 AS retracted,
    toBool(arrayExists(
        r -> (r.1, r.2) IN
        (
            SELECT name.1, name.2
            FROM journeys FINAL
            ARRAY JOIN arrayConcat([('consignment', consignment)], arrayMap(r -> (r.kind, r.value), references)) AS name
            -- those that have any name that these events have
            PREWHERE consignment IN
            (
                SELECT consignment FROM journey_finds
                WHERE kind = 'name' AND word IN
                (
                    SELECT replaceRegexpAll(upper(arrayJoin(references).2), '[^A-Z0-9]', '')
                    FROM shipment_events
                    WHERE kind = 'event'
                        AND event_id IN (SELECT event_id FROM event_references WHERE value IN {values:Array(String)})
                )
            )
        ),
        links
    )) AS owned
FROM
(
    SELECT
        event_id,
        any(sender) AS sender,
        argMax(
            (standard, code, milestone, classifier, occurred_at, retracted, references),
            (revision_at, revision_reader, revision_content)
        ) AS newest,
        min(received_at) AS first_received,
        arrayFilter(r -> has({values:Array(String)}, r.2), arrayDistinct(arrayFlatten(groupArray(references)))) AS hits,
        arrayFilter(r -> has({linking:Array(String)}, r.1), newest.7) AS named,
        arrayFilter(r -> r.1 != 'voyage', named) AS closer,
        if(empty(closer), named, closer) AS links
    FROM shipment_events
    WHERE kind = 'event' AND event_id IN (SELECT event_id FROM event_references WHERE value IN {values:Array(String)})
    GROUP BY event_id
)
WHERE {all:Bool} OR NOT owned
ORDER BY occurred_at DESC, event_id
LIMIT {limit:UInt32}
