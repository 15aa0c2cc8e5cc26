-- Where the bytes behind an id lie: an event (of its copies the greatest revision), a command (a dock's receipt), a dead letter.
SELECT
    sender,
    standard,
    code,
    raw_position AS position,
    raw_partition AS partition,
    raw_offset AS offset
FROM
(
    SELECT *
    FROM shipment_events
    WHERE kind = 'event' AND event_id = {id:String}
    ORDER BY revision_at DESC, revision_reader DESC, revision_content DESC, received_at
    LIMIT 1
)
UNION ALL
SELECT sender, '', command, '', raw_partition, raw_offset
FROM consignment_commands
WHERE command_id = {id:String}
LIMIT 1
UNION ALL
SELECT sender, standard, reason, place, raw_partition, raw_offset
FROM dead_letters
WHERE letter_id = {id:String}
LIMIT 1
