    -- which messages, and nothing else of them: what they say is read of these alone
    SELECT notification, any(notifications.subscription) AS receiver, min(notifications.due_at) AS first_due
    FROM notifications
    WHERE notifications.due_at >= {since:DateTime64(3, 'UTC')}
        AND notification != ''
        AND ({facility:String} = '' OR has(notifications.facilities, {facility:String}))
        AND ({consignment:String} = '' OR has(notifications.consignments, {consignment:String}))
        AND ({subscription:String} = '' OR notifications.subscription = {subscription:String})
    GROUP BY notification
    -- IF any_state --
    ORDER BY first_due DESC, notification
    LIMIT {limit:UInt32}
    -- END --
