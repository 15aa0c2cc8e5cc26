-- How each sender's feed does. Lateness: hours from what happened to our hearing of it (actuals of the window).
-- A repeat is a record of an event that was already there in the same revision. `warned`: events that were read with warnings.
-- Buyers, consignees and operators send no events as a rule: they are listed if they did, if they are asked for, or with {all}.
WITH {now:DateTime64(3, 'UTC')} AS now, {since:DateTime64(3, 'UTC')} AS since
SELECT
    everyone.name_of AS sender,
    registered.name AS name,
    if(registered.kind = '', feeds.sender_kind, registered.kind) AS kind,
    nullIf(greatest(events.last_at, feeds.last_event_at), toDateTime64(0, 3, 'UTC')) AS last_event_at,
    round(events.day_events / 24, 1) AS events_per_h,
    if(events.actuals = 0, NULL, round(events.lateness_h, 1)) AS lateness_h,
    events.events AS events,
    events.records - events.copies AS repeats,
    unread.codes AS unmapped,
    events.warned AS warned,
    claimed.events_claimed AS claims,
    letters.letters AS dead_letters,
    feeds.silent_since AS silent_since,
    if(last_event_at IS NULL OR feeds.silent_after_h = 0, NULL,
        assumeNotNull(last_event_at) + toIntervalSecond(toUInt64(feeds.silent_after_h * 3600))) AS expected_by
FROM
(
    SELECT code AS name_of FROM senders FINAL
    UNION DISTINCT SELECT sender FROM feeds FINAL
    UNION DISTINCT SELECT DISTINCT sender FROM event_marks
    UNION DISTINCT SELECT DISTINCT sender FROM dead_letters WHERE kind = 'letter' AND received_at >= since
) AS everyone
LEFT JOIN (SELECT * FROM senders FINAL) AS registered ON registered.code = everyone.name_of
LEFT JOIN (SELECT * FROM feeds FINAL) AS feeds ON feeds.sender = everyone.name_of
LEFT JOIN
(
    SELECT
        sender,
        max(received_at) AS last_at,
        -- ids are hashes: half of one tells millions apart, in half the memory
        countIf(is_today AND NOT again) + uniqExactIf(half, is_today AND again) AS day_events,
        countIf(NOT again) + uniqExactIf(half, again) AS events,
        countIf(NOT again) + uniqExactIf(record, again) AS records,
        countIf(NOT again) + uniqExactIf(copy, again) AS copies,
        countIf(is_warned AND NOT again) + uniqExactIf(half, is_warned AND again) AS warned,
        countIf(is_actual AND NOT again) + uniqExactIf(record, is_actual AND again) AS actuals,
        arrayReduce('quantileExact(0.5)', arrayConcat(
            groupArrayIf(late_s, is_actual AND NOT again), groupUniqArrayIf((record, late_s), is_actual AND again).2
        )) / 3600 AS lateness_h
    FROM
    (
        SELECT
            sender,
            received_at,
            toUInt64(id) AS half,
            (k_partition, k_offset) AS record,
            cityHash64(id, place) AS copy,
            received_at > now - INTERVAL 24 HOUR AS is_today,
            bitTest(marks, 5) AS is_warned,
            bitTest(marks, 3) AS is_actual,
            dateDiff('second', fromUnixTimestamp64Milli(toInt64(intDiv(marks, 64)), 'UTC'), received_at) AS late_s,
            half IN
            (
            -- said_again.sql --
            ) AS again
        FROM event_marks
        WHERE received_at >= since AND ({sender:String} = '' OR sender = {sender:String})
    )
    GROUP BY sender
) AS events ON events.sender = everyone.name_of
LEFT JOIN
(
    -- as in unmapped.sql: of an event's revisions the newest counts
    SELECT sender, count() AS codes
    FROM
    (
        SELECT any(event_marks.sender) AS sender, id
        FROM event_marks
        WHERE received_at >= since AND ({sender:String} = '' OR event_marks.sender = {sender:String})
            AND id IN
            (
                SELECT id
                FROM event_marks
                WHERE received_at >= since AND ({sender:String} = '' OR sender = {sender:String}) AND NOT bitTest(marks, 0)
            )
        GROUP BY id
        HAVING NOT bitTest(argMax(marks, place) AS newest, 0) AND NOT bitTest(newest, 4)
    )
    GROUP BY sender
) AS unread ON unread.sender = everyone.name_of
LEFT JOIN
(
    SELECT claim.sender AS sender, uniqExact(claim.event_id) AS events_claimed
    FROM
    (
    -- with_claims.sql --
    )
    ARRAY JOIN claims AS claim
    GROUP BY sender
) AS claimed ON claimed.sender = everyone.name_of
LEFT JOIN
(
    SELECT sender, uniqExact(letter_id) AS letters
    FROM dead_letters
    WHERE kind = 'letter' AND received_at >= since
    GROUP BY sender
) AS letters ON letters.sender = everyone.name_of
WHERE if({sender:String} != '',
    everyone.name_of = {sender:String},
    {all:Bool} OR kind NOT IN ('buyer', 'consignee', 'operator') OR last_event_at IS NOT NULL OR letters.letters > 0)
ORDER BY isNull(silent_since), silent_since, last_event_at DESC NULLS LAST, sender
LIMIT {limit:UInt32}
