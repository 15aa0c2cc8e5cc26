-- What could not be read, linked in time or stored; the newest first. A letter written twice is one.
SELECT
    letter_id,
    any(sender) AS sender,
    any(stage) AS stage,
    any(reason) AS reason,
    any(place) AS place,
    any(text) AS text,
    any(standard) AS standard,
    any(raw_partition) AS raw_partition,
    any(raw_offset) AS raw_offset,
    any(received_at) AS received_at,
    any(retryable) AS retryable
FROM dead_letters AS letters
WHERE kind = 'letter'
    AND ({sender:String} = '' OR letters.sender = {sender:String})
    AND ({letter:String} = '' OR letters.letter_id = {letter:String})
    AND ({reason:String} = '' OR letters.reason = {reason:String})
GROUP BY letter_id
ORDER BY received_at DESC, letter_id
LIMIT {limit:UInt32}
