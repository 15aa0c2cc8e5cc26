-- What a subscriber was told since {since}, of other consignments than this one, the newest {limit}; escalations are another's.
SELECT due_at, changes
FROM
(
    SELECT any(notifications.due_at) AS due_at, any(notifications.changes) AS changes
    FROM notifications
    WHERE subscription = {subscription:String} AND notifications.due_at >= {since:DateTime64(3, 'UTC')}
        AND purpose IN ('alert', 'digest') AND NOT has(consignments, {consignment:String})
        AND JSONExtractString(record, 'escalates') = ''
    GROUP BY notification
    ORDER BY due_at DESC
    LIMIT {limit:UInt32}
)
ORDER BY due_at
