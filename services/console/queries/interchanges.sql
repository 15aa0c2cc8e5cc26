-- Interchanges whose control number their sender used before, the newest first (deploy/clickhouse/019: what of an envelope counts).
-- Harmless (the same statement has the same event id), but a sender that repeats itself wants to know. `contents` 1: the same bytes each time.
-- Which numbers came again is asked of a hash of each, what became of them of these alone.
SELECT
    sender,
    splitByChar('\x01', interchange)[1] AS standard,
    splitByChar('\x01', interchange)[2] AS named,
    splitByChar('\x01', interchange)[3] AS control,
    count() AS times,
    uniqExact(sha256) AS contents,
    min(k_time) AS first_at,
    max(k_time) AS last_at,
    argMax(k_partition, k_time) AS last_partition,
    argMax(k_offset, k_time) AS last_offset
FROM raw_messages
WHERE kind = 'message'
    AND k_time >= {since:DateTime64(3, 'UTC')}
    AND ({sender:String} = '' OR sender = {sender:String})
    AND sipHash64(sender, interchange) IN
    (
        SELECT sipHash64(sender, interchange) AS one
        FROM raw_messages
        WHERE kind = 'message'
            AND interchange != ''
            AND k_time >= {since:DateTime64(3, 'UTC')}
            AND ({sender:String} = '' OR sender = {sender:String})
        GROUP BY one
        HAVING count() > 1
    )
GROUP BY sender, interchange
HAVING times > 1 AND control != ''
ORDER BY last_at DESC, sender, control, standard, named
LIMIT {limit:UInt64}
