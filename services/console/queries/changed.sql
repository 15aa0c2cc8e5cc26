-- What changed since {since}, newest first: what opened, ended, was reached or handed over. What a refold or a first load said
-- again is no news. {written_since}: the same by the broker's clock, which leaves whole months out.
SELECT
    consignment,
    kind,
    at,
    facility,
    tier,
    milestone,
    occurred_at,
    exception_kind,
    severity,
    sentence,
    sender
FROM journey_changes
WHERE at >= {since:DateTime64(3, 'UTC')}
    AND k_time >= {written_since:DateTime64(3, 'UTC')} - INTERVAL 1 DAY
    AND cause = 'live'
    AND kind IN ('milestone_reached', 'handed_over', 'exception_opened', 'exception_ended', 'exception_withdrawn')
    AND NOT startsWith(consignment, 'feed:')
ORDER BY at DESC, consignment, ordinal
LIMIT {limit:UInt32}
