-- What was due to subscribers since {since}, the newest first: what it says, and how far it came. No addresses stand here.
-- Empty texts mean any: {facility} and {consignment} that it is about, {subscription} that it went to, {state} that it came to
-- (`waits`: nobody has tried). Without {state} the newest {limit} are chosen first, and of these alone it is read what became of them.
SELECT
    notification,
    due.subscription AS subscription,
    due.subject AS subject,
    due.due_at AS due_at,
    due.purpose AS purpose,
    due.severity AS severity,
    due.consignments AS consignments,
    due.facilities AS facilities,
    tries.state AS state,
    tries.last_at AS last_at,
    tries.attempts AS attempts,
    tries.channel AS channel,
    tries.provider AS provider,
    tries.reason AS reason,
    tries.text AS text
FROM
(
    -- due.sql --
) AS due
LEFT JOIN
(
    -- tries.sql --
) AS tries USING (notification)
WHERE {state:String} = '' OR state = {state:String} OR ({state:String} = 'waits' AND state = '')
ORDER BY due_at DESC, notification
LIMIT {limit:UInt32}
