-- Commands by id; and of consignments what declared their plan; with the bytes that they were read from.
SELECT command_id, command, consignment, commands.sender AS sender, commands.received_at AS received_at, raw_partition, raw_offset,
    raw_sha256, content_type, payload_bytes AS bytes
FROM
(
    SELECT *, JSONExtractString(record, 'raw', 'sha256') AS raw_sha256
    FROM consignment_commands
    WHERE has({ids:Array(String)}, command_id)
        OR (has({consignments:Array(String)}, consignment) AND command IN ('register', 'amend'))
    ORDER BY k_partition, k_offset
    LIMIT 1 BY command_id
) AS commands
LEFT JOIN raw_messages ON raw_messages.k_partition = toUInt32(greatest(raw_partition, 0))
    AND raw_messages.k_offset = toUInt64(greatest(raw_offset, 0))
ORDER BY received_at
