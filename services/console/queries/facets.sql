-- How many of the rows of delayed.sql there are, by each of what they can be chosen by: a line a value, `by` says of what. `also`: of
-- the kinds, what else is wrong with those rows. Sets of grouping, because sums in maps took longer than all the rest of it; names
-- of places stand beside what was counted, not beside each row. The rows' own question is put in place of the marked line.
SELECT by, value, if(by = 'hospitals' AND places.name != '', places.name, value) AS shown, also, rows
FROM
(
    SELECT
        multiIf(
            grouping(facility) = 0, 'hospitals',
            grouping(carrier) = 0, 'carriers',
            grouping(terminal) = 0, 'terminals',
            grouping(vessel) = 0, 'vessels',
            grouping(stage) = 0, 'stages',
            grouping(exception) = 0, 'kinds',
            grouping(group_key) = 0, 'groups',
            'severities'
        ) AS by,
        toString(multiIf(
            by = 'hospitals', toString(facility),
            by = 'carriers', toString(carrier),
            by = 'terminals', toString(terminal),
            by = 'vessels', vessel,
            by = 'stages', toString(stage),
            by = 'kinds', exception,
            by = 'groups', group_key,
            severity
        )) AS value,
        also,
        count() AS rows
    FROM
    (
    -- ROWS --
    )
    GROUP BY GROUPING SETS
    (
        (facility), (carrier), (terminal), (vessel), (stage), (exception, also), (group_key), (severity)
    )
) AS counted
LEFT JOIN (SELECT code, name FROM facilities FINAL) AS places ON places.code = counted.value
