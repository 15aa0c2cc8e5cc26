-- Each unit's stay at the terminal of its consignment, from the earlier of discharged and available to leaving it, in hours.
-- A unit without a word of its own takes the whole consignment's. Gone: gate_out, else any later milestone. {now}, {since}.
SELECT
    terminal,
    mode,
    consignment,
    unit,
    arrayFilter(m -> m.unit IN (unit, '') AND m.milestone IN ('discharged', 'available'), moves) AS came,
    arrayFilter(m -> m.unit IN (unit, '') AND m.milestone = 'gate_out', moves) AS out,
    arrayFilter(
        m -> m.unit IN (unit, '') AND m.milestone IN ('arrived_consignee', 'delivered', 'empty_returned'), moves
    ) AS later,
    arrayMin(came.at) AS base,
    notEmpty(out) OR notEmpty(later) AS gone,
    if(notEmpty(out), arrayMin(out.at), if(notEmpty(later), arrayMin(later.at), {now:DateTime64(3, 'UTC')})) AS left_at,
    greatest(dateDiff('second', base, left_at), 0) / 3600 AS hours
FROM
(
    SELECT
        *,
        arrayFilter(u -> u != '', arrayDistinct(arrayConcat(units.unit, moves.unit))) AS named,
        if(empty(named), [''], named) AS all_units
    FROM
    (
    -- from_since.sql --
    )
    WHERE terminal != '' AND stage != 'cancelled'
)
ARRAY JOIN all_units AS unit
WHERE notEmpty(came)
