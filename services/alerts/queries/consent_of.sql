-- What a subscriber was asked and agreed to, and who did it.
SELECT act, at, source, JSONExtractString(record, 'shown') AS shown, JSONExtractString(record, 'by') AS by
FROM consent
WHERE subscription = {subscription:String} AND at <= {until:DateTime64(3, 'UTC')}
ORDER BY at DESC
LIMIT 1
