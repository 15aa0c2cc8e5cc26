-- The changes behind a notification, and when the broker took them.
SELECT record, k_time AS appended_at
FROM journey_changes
WHERE has({ids:Array(String)}, change_id)
LIMIT 1 BY change_id
