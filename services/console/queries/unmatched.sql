-- Events of which no consignment has any reference that links: by sender and reference, the newest first.
-- As the tracker links (services/tracker/event_store.py, linking_references): a voyage only where nothing else is named. A box
-- that nobody has, on a ship that somebody waits for, is the commonest slip of the pen, and must be seen here. What an event links
-- by stands, hashed, in event_marks (deploy/clickhouse/015); of its revisions the newest counts.
SELECT
    sender,
    first_kind AS kind,
    first_value AS value,
    count() AS events,
    groupUniqArray(5)(newest_code) AS codes,
    min(first_received) AS first_at,
    max(first_received) AS last_at,
    lower(hex(reinterpretAsFixedString(argMax(id, (first_received, id))))) AS example
FROM
(
    SELECT
        any(said.sender) AS sender,
        id,
        argMax(toString(said.kind), place) AS first_kind,
        argMax(said.value, place) AS first_value,
        argMax(toString(code), place) AS newest_code,
        argMax(is_unmatched, place) AS newest_is_unmatched,
        min(received_at) AS first_received
    FROM
    (
        SELECT
            sender,
            received_at,
            id,
            place,
            kind,
            value,
            code,
            notEmpty(links) AND NOT bitTest(marks, 4) AND NOT arrayExists(
                link -> link IN
                (
                    -- of what consignments link by, that which is named in the window: far less than all of it
                    SELECT arrayJoin(links) AS owned
                    FROM journey_marks FINAL
                    WHERE owned IN
                    (
                        SELECT arrayJoin(links)
                        FROM event_marks
                        WHERE received_at >= {since:DateTime64(3, 'UTC')} AND ({sender:String} = '' OR sender = {sender:String})
                    )
                ),
                links
            ) AS is_unmatched
        FROM event_marks
        WHERE received_at >= {since:DateTime64(3, 'UTC')} AND ({sender:String} = '' OR sender = {sender:String})
    ) AS said
    WHERE is_unmatched OR toUInt64(id) IN
    (
    -- said_again.sql --
    )
    GROUP BY id
    HAVING newest_is_unmatched
)
GROUP BY sender, kind, value
ORDER BY last_at DESC, sender, kind, value
LIMIT {limit:UInt32}
SETTINGS max_bytes_before_external_group_by = 400000000
