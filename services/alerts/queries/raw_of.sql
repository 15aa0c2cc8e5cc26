-- Of events, the bytes they were read from: where they lie and what they are.
SELECT event_id, events.sender AS sender, events.standard AS standard, code, occurred_at, events.received_at AS received_at,
    raw_partition, raw_offset, raw_position, raw_sha256 AS sha256, content_type, payload_bytes AS bytes
FROM
(
    SELECT *
    FROM shipment_events
    WHERE kind = 'event' AND has({ids:Array(String)}, event_id)
    ORDER BY revision_at DESC, revision_reader DESC, revision_content DESC
    LIMIT 1 BY event_id
) AS events
LEFT JOIN raw_messages ON raw_messages.k_partition = toUInt32(greatest(raw_partition, 0))
    AND raw_messages.k_offset = toUInt64(greatest(raw_offset, 0))
ORDER BY received_at
