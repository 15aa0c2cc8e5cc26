-- The ids of events, commands and dead letters that begin so.
SELECT DISTINCT id
FROM
(
    SELECT event_id AS id FROM shipment_events WHERE kind = 'event' AND startsWith(event_id, {begin:String})
    UNION ALL
    SELECT command_id FROM consignment_commands WHERE startsWith(command_id, {begin:String})
    UNION ALL
    SELECT letter_id FROM dead_letters WHERE startsWith(letter_id, {begin:String})
)
ORDER BY id
LIMIT {limit:UInt32}
