-- The last that a sender said before it fell silent.
SELECT k_partition AS raw_partition, k_offset AS raw_offset, sha256, content_type, payload_bytes AS bytes, sender, received_at
FROM raw_messages
WHERE kind = 'message' AND sender = {sender:String} AND received_at <= {until:DateTime64(3, 'UTC')}
ORDER BY received_at DESC
LIMIT 1
