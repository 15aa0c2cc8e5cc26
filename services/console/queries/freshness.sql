-- The newest of each table of what flows through, and how much there is of it, in the order of the flow.
SELECT what, newest, rows
FROM
(
    SELECT 1 AS place, 'raw messages' AS what, max(k_time) AS newest, count() AS rows FROM raw_messages WHERE kind != 'tick'
    UNION ALL SELECT 2, 'ticks', max(k_time), count() FROM raw_messages WHERE kind = 'tick'
    UNION ALL SELECT 3, 'shipment events', max(k_time), count() FROM shipment_events WHERE kind = 'event'
    UNION ALL SELECT 4, 'commands', max(k_time), count() FROM consignment_commands WHERE kind != 'tick'
    UNION ALL SELECT 5, 'journey changes', max(k_time), count() FROM journey_changes
    UNION ALL SELECT 6, 'journeys', max(at), count() FROM journeys
    UNION ALL SELECT 7, 'dead letters', max(k_time), count() FROM dead_letters
    UNION ALL SELECT 8, 'notifications', max(k_time), count() FROM notifications
    UNION ALL SELECT 9, 'deliveries', max(k_time), count() FROM deliveries
)
ORDER BY place
