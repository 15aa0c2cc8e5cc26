-- The changes behind a notification.
SELECT record
FROM journey_changes
WHERE has({ids:Array(String)}, change_id)
LIMIT 1 BY change_id
