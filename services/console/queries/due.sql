    -- Messages that were due (messages.sql). Which they are is asked of two columns, what they say of these alone.
    SELECT
        notification,
        any(notifications.subscription) AS subscription,
        any(notifications.subject) AS subject,
        min(notifications.due_at) AS due_at,
        any(notifications.purpose) AS purpose,
        any(notifications.severity) AS severity,
        any(notifications.consignments) AS consignments,
        any(notifications.facilities) AS facilities
    -- IF of_one --
    -- of {consignment} alone there are few: an index leads to them, and they are read once
    FROM notifications
    PREWHERE has(notifications.consignments, {consignment:String})
    WHERE notifications.due_at >= {since:DateTime64(3, 'UTC')} AND notification != ''
    GROUP BY notification
    ORDER BY due_at DESC, notification
    LIMIT {limit:UInt32}
    -- ELSE --
    -- IF any_state --
    FROM notifications
    WHERE (notifications.subscription, notifications.due_at, notification) IN
    (
        SELECT any(notifications.subscription), min(notifications.due_at), notification
        -- asked_about.sql --
        ORDER BY min(notifications.due_at) DESC, notification
        LIMIT {limit:UInt32}
    )
    GROUP BY notification
    -- ELSE --
    -- asked_about.sql --
    -- END --
    ORDER BY due_at DESC, notification
    -- END --
