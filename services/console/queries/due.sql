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
    -- asked_about.sql --
    ORDER BY due_at DESC, notification
    -- IF any_state --
    LIMIT {limit:UInt32}
    -- END --
