-- Notifications by id, or by the beginning of one.
SELECT record
FROM notifications
WHERE startsWith(notification, {id:String})
ORDER BY due_at
LIMIT 1 BY notification
LIMIT 2
