-- The exceptions that messages to a subscriber since {since}, of other consignments than this one, told as open.
SELECT record
FROM journey_changes
WHERE kind IN ('exception_opened', 'exception_changed') AND change_id IN
(
    SELECT arrayJoin(changes)
    FROM notifications
    WHERE subscription = {subscription:String} AND due_at >= {since:DateTime64(3, 'UTC')}
        AND NOT has(consignments, {consignment:String})
)
LIMIT 1 BY change_id
LIMIT {limit:UInt32}
