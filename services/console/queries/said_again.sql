    -- Halves of the ids of events of the window that were said more than once: repeats and corrections, few of all. Whatever was said
    -- once is its own newest revision, so that it needs no grouping; and to find these groups one number and nothing else.
    SELECT toUInt64(id)
    FROM event_marks
    WHERE received_at >= {since:DateTime64(3, 'UTC')} AND ({sender:String} = '' OR sender = {sender:String})
    GROUP BY toUInt64(id)
    HAVING count() > 1
