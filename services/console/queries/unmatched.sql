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
    lower(hex(reinterpretAsFixedString(argMax(id, first_received)))) AS example
FROM
(
    SELECT
        any(event_marks.sender) AS sender,
        id,
        argMax(toString(event_marks.kind), place) AS first_kind,
        argMax(event_marks.value, place) AS first_value,
        argMax(toString(code), place) AS newest_code,
        argMax(
            toUInt8(notEmpty(links) AND NOT bitTest(marks, 4) AND NOT arrayExists(
                link -> link IN
                (
                    SELECT arrayJoin(links) FROM journey_marks FINAL
                ),
                links
            )),
            place
        ) AS is_unmatched,
        min(received_at) AS first_received
    FROM event_marks
    WHERE received_at >= {since:DateTime64(3, 'UTC')}
        AND ({sender:String} = '' OR event_marks.sender = {sender:String})
        -- those of which some revision is unmatched: few, so that few are held in memory
        AND id IN
        (
            SELECT id
            FROM event_marks
            WHERE received_at >= {since:DateTime64(3, 'UTC')}
                AND ({sender:String} = '' OR event_marks.sender = {sender:String})
                AND notEmpty(links) AND NOT bitTest(marks, 4) AND NOT arrayExists(
                    link -> link IN
                    (
                        SELECT arrayJoin(links) FROM journey_marks FINAL
                    ),
                    links
                )
        )
    GROUP BY id
    HAVING is_unmatched
)
GROUP BY sender, kind, value
ORDER BY last_at DESC, sender, kind, value
LIMIT {limit:UInt32}
SETTINGS max_bytes_before_external_group_by = 400000000
