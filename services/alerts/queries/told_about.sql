-- What was due to anybody about a consignment: to whom, how often, and when the last was due and which it is.
SELECT subscription, count() AS messages, max(due_at) AS last_at, argMax(notification, due_at) AS last
FROM
(
    SELECT notification, subscription, due_at
    FROM notifications
    WHERE has(consignments, {consignment:String})
    ORDER BY due_at
    LIMIT 1 BY notification
)
GROUP BY subscription
ORDER BY last_at DESC, subscription
