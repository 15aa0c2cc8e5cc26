-- How well a sender's messages can be understood, period by period ({step} days from {since}; 0: all as one). Of each event the
-- newest revision counts, in the period in which it was first received; withdrawn ones are left out. `references_valid`: without
-- any of the warnings {doubts}. `on_time`: actuals heard of within {on_time_h} hours of what happened. `unread`: statements and
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
        newest.1 AS is_mapped,
        NOT has(newest.2, 'zone_assumed') AS has_zone,
        NOT hasAny(newest.2, {doubts:Array(String)}) AS is_valid,
        newest.3 = 'actual' AS is_actual,
        is_actual AND dateDiff('second', newest.4, first_at) <= {on_time_h:Float64} * 3600 AS is_on_time
    FROM
    (
        SELECT
            sender,
            min(received_at) AS first_at,
            argMax(
                (mapped, warnings, classifier, occurred_at, retracted), (revision_at, revision_reader, revision_content)
            ) AS newest
        FROM shipment_events
        WHERE kind = 'event' AND received_at >= since AND ({sender:String} = '' OR sender = {sender:String})
        GROUP BY sender, event_id
        HAVING NOT newest.5
    )
    UNION ALL
    SELECT
        any(letters.sender) AS sender,
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
