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
    SELECT
        notification,
        any(notifications.subscription) AS subscription,
        any(notifications.subject) AS subject,
        min(notifications.due_at) AS due_at,
        any(notifications.purpose) AS purpose,
        any(notifications.severity) AS severity,
        any(notifications.consignments) AS consignments,
        any(notifications.facilities) AS facilities
    FROM notifications
    WHERE notifications.due_at >= {since:DateTime64(3, 'UTC')}
        AND notification != ''
        AND ({facility:String} = '' OR has(notifications.facilities, {facility:String}))
        AND ({consignment:String} = '' OR has(notifications.consignments, {consignment:String}))
        AND ({subscription:String} = '' OR notifications.subscription = {subscription:String})
    GROUP BY notification
    ORDER BY due_at DESC, notification
    -- IF any_state --
    LIMIT {limit:UInt32}
    -- END --
) AS due
LEFT JOIN
(
    SELECT
        notification,
        argMax(deliveries.state, (at, k_offset)) AS state,
        max(at) AS last_at,
        uniqExactIf(attempt, attempt > 0) AS attempts,
        argMax(deliveries.channel, (at, k_offset)) AS channel,
        argMax(deliveries.provider, (at, k_offset)) AS provider,
        argMax(deliveries.reason, (at, k_offset)) AS reason,
        argMax(deliveries.text, (at, k_offset)) AS text
    FROM deliveries
    WHERE at >= {since:DateTime64(3, 'UTC')}
        -- by the key of the table: what became of the others is not read
        AND (deliveries.subscription, deliveries.notification) IN
        (
            SELECT any(notifications.subscription), notification
            FROM notifications
            WHERE notifications.due_at >= {since:DateTime64(3, 'UTC')}
                AND notification != ''
                AND ({facility:String} = '' OR has(notifications.facilities, {facility:String}))
                AND ({consignment:String} = '' OR has(notifications.consignments, {consignment:String}))
                AND ({subscription:String} = '' OR notifications.subscription = {subscription:String})
            GROUP BY notification
            -- IF any_state --
            ORDER BY min(notifications.due_at) DESC, notification
            LIMIT {limit:UInt32}
            -- END --
        )
    GROUP BY notification
) AS tries USING (notification)
WHERE {state:String} = '' OR state = {state:String} OR ({state:String} = 'waits' AND state = '')
ORDER BY due_at DESC, notification
LIMIT {limit:UInt32}
