-- What was due to subscribers since {since}, the newest first: what it says, and how far it came. No addresses stand here.
SELECT
    notification,
    any(due.subscription) AS subscription,
    any(due.subject) AS subject,
    min(due.due_at) AS due_at,
    argMax(tries.state, (tries.at, tries.k_offset)) AS state,
    max(tries.at) AS last_at,
    uniqExactIf(tries.attempt, tries.attempt > 0) AS attempts,
    argMax(tries.provider, (tries.at, tries.k_offset)) AS provider,
    argMax(tries.text, (tries.at, tries.k_offset)) AS text
FROM (SELECT * FROM notifications WHERE due_at >= {since:DateTime64(3, 'UTC')}) AS due
LEFT JOIN (SELECT * FROM deliveries) AS tries USING (notification)
WHERE notification != ''
GROUP BY notification
ORDER BY due_at DESC, notification
LIMIT {limit:UInt32}
