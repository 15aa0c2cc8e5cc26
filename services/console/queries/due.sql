    -- Messages that were due (messages.sql).
    SELECT
        notification,
        any(notifications.subscription) AS subscription,
        any(notifications.subject) AS subject,
        min(notifications.due_at) AS due_at,
        any(notifications.purpose) AS purpose,
        any(notifications.severity) AS severity,
        any(notifications.consignments) AS consignments,
        any(notifications.facilities) AS facilities
    FROM notifications
    WHERE notifications.due_at >= {since:DateTime64(3, 'UTC')}
        -- whole months are left out by when they were written, which is at most some days before they are due
        AND notifications.k_time >= {since:DateTime64(3, 'UTC')} - INTERVAL 31 DAY
        AND notification != ''
        AND ({facility:String} = '' OR has(notifications.facilities, {facility:String}))
        AND ({consignment:String} = '' OR has(notifications.consignments, {consignment:String}))
        AND ({subscription:String} = '' OR notifications.subscription = {subscription:String})
    GROUP BY notification
    ORDER BY due_at DESC, notification
    -- IF any_state --
    LIMIT {limit:UInt32}
    -- END --
