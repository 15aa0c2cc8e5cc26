    -- Messages that are asked about (messages.sql): due since {since}, about and to whom {facility}, {consignment}, {subscription} say.
    -- Where there is a row after which a page begins (IF after_row), those that stand behind it.
    FROM notifications
    WHERE notifications.due_at >= {since:DateTime64(3, 'UTC')}
        -- IF after_row --
        AND (notifications.due_at < {after_at:DateTime64(3, 'UTC')}
            OR (notifications.due_at = {after_at:DateTime64(3, 'UTC')} AND notification > {after_id:String}))
        -- END --
        AND notification != ''
        AND ({facility:String} = '' OR has(notifications.facilities, {facility:String}))
        AND ({consignment:String} = '' OR has(notifications.consignments, {consignment:String}))
        AND ({subscription:String} = '' OR notifications.subscription = {subscription:String})
    GROUP BY notification
