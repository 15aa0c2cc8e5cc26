-- How many of the rows of delayed.sql there are, by each of what they can be chosen by: a line a value, `by` says of what. `also`: of
-- the kinds, what else is wrong with those rows. Sets of grouping, because sums in maps took longer than all the rest of it.
-- The rows' own question is put in place of the marked line.
SELECT
    multiIf(
        grouping(hospital) = 0, 'hospitals',
        grouping(carrier) = 0, 'carriers',
        grouping(terminal) = 0, 'terminals',
        grouping(vessel) = 0, 'vessels',
        grouping(stage) = 0, 'stages',
        grouping(exception) = 0, 'kinds',
        grouping(group_key) = 0, 'groups',
        'severities'
    ) AS by,
    toString(multiIf(
        by = 'hospitals', facility,
        by = 'carriers', toString(carrier),
        by = 'terminals', toString(terminal),
        by = 'vessels', vessel,
        by = 'stages', toString(stage),
        by = 'kinds', exception,
        by = 'groups', group_key,
        severity
    )) AS value,
    if(by = 'hospitals', hospital, value) AS shown,
    also,
    count() AS rows
FROM
(
-- ROWS --
)
GROUP BY GROUPING SETS
(
    (facility, hospital), (carrier), (terminal), (vessel), (stage), (exception, also), (group_key), (severity)
)
