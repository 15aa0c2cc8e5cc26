-- What was due to a subscriber about a consignment.
SELECT record
FROM notifications
WHERE subscription = {subscription:String} AND position(record, {consignment:String}) > 0
ORDER BY due_at
LIMIT 1 BY notification
LIMIT 1000
