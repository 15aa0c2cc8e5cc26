-- What is news since {since}, by when it was appended; each change once. Parts that are older are not read (k_time is the partition's).
SELECT DISTINCT change_id, consignment, toUnixTimestamp64Milli(k_time) AS appended_ms
FROM journey_changes
WHERE k_time >= {since:DateTime64(3, 'UTC')}
    AND cause = 'live'
    AND kind IN ('milestone_reached', 'handed_over', 'exception_opened', 'exception_ended', 'exception_withdrawn', 'command_accepted')
    AND NOT startsWith(consignment, 'feed:')
ORDER BY appended_ms
LIMIT {limit:UInt32}
