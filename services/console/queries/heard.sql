-- When the newest record of shipment.events, a tick or an event, was appended: how far the pipeline's time may be behind.
SELECT max(k_time) AS heard
FROM shipment_events
