-- Units that left each terminal since {since}, by {step} seconds of {zone}, and how long they had stood there: the median, in hours.
SELECT
    toDateTime64(if({step:UInt32} = 86400, toStartOfDay(left_at, {zone:String}), toStartOfInterval(left_at, toIntervalSecond({step:UInt32}))), 3, 'UTC') AS begins,
    terminal,
    if(any(places.name) = '', terminal, any(places.name)) AS name,
    count() AS units,
    round(quantileExact(0.5)(hours), 1) AS median_h
FROM
(
-- stays.sql --
) AS stays
LEFT JOIN (SELECT code, name FROM facilities FINAL) AS places ON places.code = stays.terminal
WHERE gone AND left_at >= {since:DateTime64(3, 'UTC')} AND left_at <= {now:DateTime64(3, 'UTC')}
    AND ({terminal:String} = '' OR terminal = {terminal:String})
GROUP BY begins, terminal
ORDER BY begins, terminal
