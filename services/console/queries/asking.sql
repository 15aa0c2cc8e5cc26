-- Messages since then that ask to be acknowledged and tell of any of these consignments.
SELECT
    subscription,
    notification,
    arrayMap(
        i -> (JSONExtractString(i, 'consignment'), JSONExtractString(i, 'key')), JSONExtractArrayRaw(record, 'items')
    ) AS items
FROM notifications
WHERE due_at >= {since:DateTime64(3, 'UTC')}
    AND JSONExtractString(record, 'code') != ''
    AND hasAny(items.1, {consignments:Array(String)})
ORDER BY subscription, notification
LIMIT 1 BY subscription, notification
LIMIT 10000
