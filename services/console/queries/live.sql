-- What is news since {since}, by when it was appended; each change once. Parts that are older are not read (k_time is the
-- partition's). `act`: somebody did it in the console, whose own page waited until it was there.
SELECT DISTINCT change_id, consignment, toUnixTimestamp64Milli(k_time) AS appended_ms, act
FROM
(
    SELECT change_id, consignment, k_time, false AS act
    FROM journey_changes
    WHERE k_time >= {since:DateTime64(3, 'UTC')}
        AND cause = 'live'
        AND kind IN ('milestone_reached', 'handed_over', 'exception_opened', 'exception_ended', 'exception_withdrawn', 'command_accepted')
        AND NOT startsWith(consignment, 'feed:')
    UNION ALL
    SELECT act_id, consignment, k_time, true
    FROM work_acts
    WHERE k_time >= {since:DateTime64(3, 'UTC')}
)
ORDER BY appended_ms
LIMIT {limit:UInt32}
