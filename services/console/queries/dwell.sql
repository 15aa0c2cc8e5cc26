-- Hours from the earlier of discharged and available to leaving the terminal, by terminal; and what still stands there.
-- A unit without a word of its own takes the whole consignment's. Gone: gate_out, else any later milestone.
WITH {now:DateTime64(3, 'UTC')} AS now
SELECT
    terminal,
    if(any(places.name) = '', terminal, any(places.name)) AS name,
    countIf(gone AND left_at >= {since:DateTime64(3, 'UTC')}) AS left_count,
    if(left_count = 0, NULL, round(quantileExactIf(0.5)(hours, gone AND left_at >= {since:DateTime64(3, 'UTC')}), 1)) AS median_h,
    if(left_count = 0, NULL, round(quantileExactIf(0.9)(hours, gone AND left_at >= {since:DateTime64(3, 'UTC')}), 1)) AS p90_h,
    countIf(NOT gone) AS standing,
    if(standing = 0, NULL, round(maxIf(hours, NOT gone), 1)) AS oldest_h,
    argMaxIf(consignment, hours, NOT gone) AS oldest_consignment,
    argMaxIf(unit, hours, NOT gone) AS oldest_unit
FROM
(
    SELECT
        terminal,
        consignment,
        unit,
        arrayFilter(m -> m.unit IN (unit, '') AND m.milestone IN ('discharged', 'available'), moves) AS came,
        arrayFilter(m -> m.unit IN (unit, '') AND m.milestone = 'gate_out', moves) AS out,
        arrayFilter(
            m -> m.unit IN (unit, '') AND m.milestone IN ('arrived_consignee', 'delivered', 'empty_returned'), moves
        ) AS later,
        arrayMin(came.at) AS base,
        notEmpty(out) OR notEmpty(later) AS gone,
        if(notEmpty(out), arrayMin(out.at), if(notEmpty(later), arrayMin(later.at), now)) AS left_at,
        greatest(dateDiff('second', base, left_at), 0) / 3600 AS hours
    FROM
    (
        SELECT
            *,
            arrayFilter(u -> u != '', arrayDistinct(arrayConcat(units.unit, moves.unit))) AS named,
            if(empty(named), [''], named) AS all_units
        FROM journeys FINAL
        WHERE terminal != '' AND stage != 'cancelled'
    )
    ARRAY JOIN all_units AS unit
    WHERE notEmpty(came)
) AS stays
LEFT JOIN (SELECT code, name FROM facilities FINAL) AS places ON places.code = stays.terminal
WHERE {terminal:String} = '' OR terminal = {terminal:String}
GROUP BY terminal
ORDER BY oldest_h DESC NULLS LAST, terminal
LIMIT {limit:UInt32}
