-- Arrivals at the port of discharge since {since}, by carrier, and by lane where {lanes} says so, in steps of {step} seconds (0: all
-- as one). On time: within the tolerance of docs/exceptions.md after the plan. The error of an estimate has no sign.
SELECT
    if({step:UInt32} = 0, {since:DateTime64(3, 'UTC')},
        toDateTime64(toStartOfInterval(at, toIntervalSecond(greatest({step:UInt32}, 1))), 3, 'UTC')) AS begins,
    carrier,
    if({lanes:Bool}, concat(origin, ' > ', port), '') AS lane,
    count() AS arrivals,
    countIf(said.1 IS NOT NULL) AS planned,
    countIf(said.1 IS NOT NULL
        AND dateDiff('second', said.1, at) <= multiIf(mode = 'sea', 12, mode = 'air', 4, 2) * 3600) AS on_time,
    countIf(said.2 IS NOT NULL) AS estimated,
    if(
        estimated = 0,
        NULL,
        round(quantileExactIf(0.5)(abs(ifNull(dateDiff('second', said.2, at), 0)), said.2 IS NOT NULL) / 3600, 1)
    ) AS eta_error_h
FROM
(
    SELECT
        toString(carrier) AS carrier,
        origin,
        port,
        mode,
        (arrival_planned, arrival_estimated) AS said,
        ifNull(arrived_at, toDateTime64(0, 3, 'UTC')) AS at
    FROM journey_marks FINAL
    WHERE carrier != ''
)
WHERE at >= {since:DateTime64(3, 'UTC')} AND at > toDateTime64(0, 3, 'UTC') AND ({carrier:String} = '' OR carrier = {carrier:String})
GROUP BY begins, carrier, lane
ORDER BY begins, arrivals DESC, carrier, lane
LIMIT {limit:UInt32}
