-- A record of raw.messages, as it was sent.
SELECT sender, sha256, content_type, content_encoding, payload
FROM raw_messages
WHERE k_partition = {partition:UInt32} AND k_offset = {offset:UInt64}
LIMIT 1
