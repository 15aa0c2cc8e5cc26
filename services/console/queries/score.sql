-- How well a sender's messages can be understood, period by period ({step} days from {since}; 0: all as one). Of each event the
-- newest revision counts, in the period in which it was first received; withdrawn ones are left out. `references_valid`: without
-- any of the warnings DOUBTS (questions.py). `on_time`: actuals heard of within {on_time_h} hours of what happened. `unread`: statements and
-- messages that became dead letters of reading.
WITH
    {since:DateTime64(3, 'UTC')} AS since,
    {step:UInt32} AS step
SELECT
    sender,
    if(step = 0, since, since + toIntervalDay(period * step)) AS begins,
    sum(is_event) AS events,
    sum(NOT is_event) AS unread,
    sum(is_mapped) AS mapped,
    sum(has_zone) AS zone_said,
    sum(is_valid) AS references_valid,
    sum(is_actual) AS actuals,
    sum(is_on_time) AS on_time,
    sum(is_mapped AND has_zone AND is_valid AND (is_on_time OR NOT is_actual)) AS faultless
FROM
(
    SELECT
        sender,
        if(step = 0, 0, intDiv(dateDiff('second', since, first_at), step * 86400)) AS period,
        true AS is_event,
        bitTest(newest, 0) AS is_mapped,
        bitTest(newest, 1) AS has_zone,
        bitTest(newest, 2) AS is_valid,
        bitTest(newest, 3) AS is_actual,
        is_actual
            AND dateDiff('second', fromUnixTimestamp64Milli(toInt64(intDiv(newest, 64)), 'UTC'), first_at)
                <= {on_time_h:Float64} * 3600 AS is_on_time
    FROM
    (
        SELECT sender, received_at AS first_at, marks AS newest
        FROM event_marks
        WHERE received_at >= since AND ({sender:String} = '' OR sender = {sender:String})
            AND toUInt64(id) NOT IN
            (
            -- said_again.sql --
            )
        UNION ALL
        SELECT toLowCardinality(any(event_marks.sender)) AS sender, min(received_at) AS first_at, argMax(marks, place) AS newest
        FROM event_marks
        WHERE received_at >= since AND ({sender:String} = '' OR event_marks.sender = {sender:String})
            AND toUInt64(id) IN
            (
            -- said_again.sql --
            )
        GROUP BY id
    )
    WHERE NOT bitTest(newest, 4)
    UNION ALL
    SELECT
        toLowCardinality(any(letters.sender)) AS sender,
        if(step = 0, 0, intDiv(dateDiff('second', since, min(received_at)), step * 86400)) AS period,
        false AS is_event,
        false AS is_mapped,
        false AS has_zone,
        false AS is_valid,
        false AS is_actual,
        false AS is_on_time
    FROM dead_letters AS letters
    WHERE kind = 'letter' AND stage = 'readers' AND received_at >= since
        AND ({sender:String} = '' OR letters.sender = {sender:String})
    GROUP BY letter_id
)
GROUP BY sender, period
ORDER BY sender, period
LIMIT {limit:UInt32}
SETTINGS max_bytes_before_external_group_by = 400000000
