-- The bytes behind an event: of its copies, those of the greatest revision.
SELECT
    events.sender AS sender,
    events.standard AS standard,
    events.code AS code,
    events.raw_position AS position,
    events.raw_partition AS partition,
    events.raw_offset AS offset,
    raw.sha256 AS sha256,
    raw.content_type AS content_type,
    raw.content_encoding AS content_encoding,
    raw.payload AS payload
FROM
(
    SELECT *
    FROM shipment_events
    WHERE kind = 'event' AND event_id = {event_id:String}
    ORDER BY revision_at DESC, revision_reader DESC, revision_content DESC, received_at
    LIMIT 1
) AS events
LEFT JOIN
(
    SELECT *
    FROM raw_messages
    WHERE (k_partition, k_offset) IN
    (
        SELECT raw_partition, raw_offset
        FROM shipment_events
        WHERE kind = 'event' AND event_id = {event_id:String} AND raw_offset >= 0
    )
) AS raw ON raw.k_partition = events.raw_partition AND raw.k_offset = events.raw_offset
