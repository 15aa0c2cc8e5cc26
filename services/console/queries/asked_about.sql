    -- Messages that are asked about (messages.sql): due since {since}, about and to whom {facility}, {consignment}, {subscription} say.
    FROM notifications
    WHERE notifications.due_at >= {since:DateTime64(3, 'UTC')}
        -- whole months are left out by when they were written, which is at most some days before they are due
        AND notifications.k_time >= {since:DateTime64(3, 'UTC')} - INTERVAL 31 DAY
        AND notification != ''
        AND ({facility:String} = '' OR has(notifications.facilities, {facility:String}))
        AND ({consignment:String} = '' OR has(notifications.consignments, {consignment:String}))
        AND ({subscription:String} = '' OR notifications.subscription = {subscription:String})
    GROUP BY notification
