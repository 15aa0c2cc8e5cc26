-- Hours from the earlier of discharged and available to leaving the terminal, by terminal; and what still stands there.
-- `lost_h`: hours within the window in which units stood there past free time, added up: where goods are held up. Free time is
-- the facility's, else that of docs/exceptions.md: 96 h, by air 24 h.
WITH
    {now:DateTime64(3, 'UTC')} AS now,
    coalesce(nullIf(places.free_time_h, 0), if(stays.mode = 'air', 24, 96)) AS free_h
SELECT
    terminal,
    if(any(places.name) = '', terminal, any(places.name)) AS name,
    countIf(gone AND left_at >= {since:DateTime64(3, 'UTC')}) AS left_count,
    if(left_count = 0, NULL, round(quantileExactIf(0.5)(hours, gone AND left_at >= {since:DateTime64(3, 'UTC')}), 1)) AS median_h,
    if(left_count = 0, NULL, round(quantileExactIf(0.9)(hours, gone AND left_at >= {since:DateTime64(3, 'UTC')}), 1)) AS p90_h,
    countIf(NOT gone) AS standing,
    round(
        sum(greatest(
            dateDiff('second', greatest(base + toIntervalSecond(toUInt64(free_h * 3600)), {since:DateTime64(3, 'UTC')}), left_at), 0
        )) / 3600,
        1
    ) AS lost_h,
    if(standing = 0, NULL, round(maxIf(hours, NOT gone), 1)) AS oldest_h,
    if(standing = 0, NULL, round(maxIf(greatest(hours - free_h, 0), NOT gone), 1)) AS past_free_h,
    argMaxIf(consignment, hours, NOT gone) AS oldest_consignment,
    argMaxIf(unit, hours, NOT gone) AS oldest_unit
FROM
(
-- stays.sql --
) AS stays
LEFT JOIN (SELECT code, name, free_time_h FROM facilities FINAL) AS places ON places.code = stays.terminal
WHERE {terminal:String} = '' OR terminal = {terminal:String}
GROUP BY terminal
ORDER BY oldest_h DESC NULLS LAST, terminal
LIMIT {limit:UInt32}
