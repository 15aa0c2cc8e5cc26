    -- What became of messages (messages.sql); IF those: of {notifications}, which went to {subscriptions}; IF until: by then.
    SELECT
        notification,
        argMax(deliveries.state, (at, k_offset)) AS state,
        max(at) AS last_at,
        uniqExactIf(attempt, attempt > 0) AS attempts,
        argMax(deliveries.channel, (at, k_offset)) AS channel,
        argMax(deliveries.provider, (at, k_offset)) AS provider,
        argMax(deliveries.reason, (at, k_offset)) AS reason,
        argMax(deliveries.text, (at, k_offset)) AS text
    FROM deliveries
    -- IF those --
    -- by the key of the table, each part of it by itself: as pairs they took twice as long to find
    PREWHERE deliveries.subscription IN {subscriptions:Array(String)} AND deliveries.notification IN {notifications:Array(String)}
    -- END --
    -- by the clock of who sends, which the pipeline's time may be ahead of
    WHERE at >= {tried_since:DateTime64(3, 'UTC')}
        -- IF until --
        AND at <= {until:DateTime64(3, 'UTC')}
        -- END --
        -- IF those --
        -- ELSE --
        -- by the key of the table: what became of the others is not read
        AND (deliveries.subscription, deliveries.notification) IN
        (
            SELECT any(notifications.subscription), notification
            -- asked_about.sql --
            -- IF any_state --
            ORDER BY min(notifications.due_at) DESC, notification
            LIMIT {limit:UInt32}
            -- END --
        )
        -- END --
    GROUP BY notification
