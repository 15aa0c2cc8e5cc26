-- Who said that they take care of a notification, and when.
SELECT at, by, source, code
FROM acknowledged
WHERE notification = {notification:String}
    AND subscription IN (SELECT subscription FROM notifications WHERE notification = {notification:String})
ORDER BY at
