-- What could not be read, linked in time or stored; the newest first, behind the one after which a page begins (IF after_row). A letter
-- written twice is one, and stands where it was heard of last. Which they are is asked of two columns, what they say of these alone.
-- IF among: of the {among} newest, which are enough for a page unless most of them are written twice; `oldest`: of these.
WITH
    -- IF among --
    ifNull(
        (
            SELECT received_at
            FROM dead_letters
            WHERE kind = 'letter'
                AND ({sender:String} = '' OR sender = {sender:String})
                AND ({letter:String} = '' OR letter_id = {letter:String})
                AND ({reason:String} = '' OR reason = {reason:String})
                -- IF after_row --
                AND received_at <= {after_at:DateTime64(3, 'UTC')}
                -- END --
            ORDER BY received_at DESC
            LIMIT 1 OFFSET {among:UInt32}
        ),
        toDateTime64(0, 3, 'UTC')
    )
    -- ELSE --
    toDateTime64(0, 3, 'UTC')
    -- END --
    AS oldest
SELECT
    letter_id, sender, stage, reason, place, text, standard, raw_partition, raw_offset, received_at, retryable, oldest
FROM dead_letters
WHERE kind = 'letter' AND received_at >= oldest AND (received_at, letter_id) IN
(
    SELECT max(dead_letters.received_at) AS at, letter_id
    FROM dead_letters
    WHERE kind = 'letter' AND dead_letters.received_at >= oldest
        AND ({sender:String} = '' OR sender = {sender:String})
        AND ({letter:String} = '' OR letter_id = {letter:String})
        AND ({reason:String} = '' OR reason = {reason:String})
    GROUP BY letter_id
    -- IF after_row --
    HAVING at < {after_at:DateTime64(3, 'UTC')} OR (at = {after_at:DateTime64(3, 'UTC')} AND letter_id > {after_id:String})
    -- END --
    ORDER BY at DESC, letter_id
    LIMIT {limit:UInt32}
)
ORDER BY received_at DESC, letter_id
LIMIT 1 BY letter_id
