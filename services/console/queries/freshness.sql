-- The newest of each table of what flows through, and how much there is of it.
SELECT 'raw messages' AS what, max(k_time) AS newest, count() AS rows FROM raw_messages WHERE kind != 'tick'
UNION ALL SELECT 'ticks', max(k_time), count() FROM raw_messages WHERE kind = 'tick'
UNION ALL SELECT 'shipment events', max(k_time), count() FROM shipment_events WHERE kind = 'event'
UNION ALL SELECT 'commands', max(k_time), count() FROM consignment_commands WHERE kind != 'tick'
UNION ALL SELECT 'journey changes', max(k_time), count() FROM journey_changes
UNION ALL SELECT 'journeys', max(at), count() FROM journeys
UNION ALL SELECT 'dead letters', max(k_time), count() FROM dead_letters
UNION ALL SELECT 'notifications', max(k_time), count() FROM notifications
UNION ALL SELECT 'deliveries', max(k_time), count() FROM deliveries
