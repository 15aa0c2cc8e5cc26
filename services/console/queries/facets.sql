-- How many of the rows of delayed.sql there are, and by what they can be chosen: (value, shown, rows), the commonest first, at
-- most 60 of each. The rows' own question is put in place of the marked line.
SELECT
    count() AS total,
    countIf(severity = 'critical') AS critical,
    countIf(severity = 'major') AS major,
    countIf(severity = 'minor') AS minor,
    arrayMap((k, n) -> (k.1, k.2, n), hospital_counts.1, hospital_counts.2) AS hospitals,
    arrayMap((k, n) -> (k, k, n), carrier_counts.1, carrier_counts.2) AS carriers,
    arrayMap((k, n) -> (k, k, n), terminal_counts.1, terminal_counts.2) AS terminals,
    arrayMap((k, n) -> (k, k, n), vessel_counts.1, vessel_counts.2) AS vessels,
    arrayMap((k, n) -> (k, k, n), kind_counts.1, kind_counts.2) AS kinds,
    arrayMap((k, n) -> (k, k, n), stage_counts.1, stage_counts.2) AS stages,
    arrayMap((k, n) -> (k, k, n), group_counts.1, group_counts.2) AS groups,
    sumMap([(facility, hospital)], [toUInt64(1)]) AS hospital_counts,
    sumMap([carrier], [toUInt64(1)]) AS carrier_counts,
    sumMap([terminal], [toUInt64(1)]) AS terminal_counts,
    sumMap([vessel], [toUInt64(1)]) AS vessel_counts,
    sumMap(arrayConcat([exception], also), arrayMap(one -> toUInt64(1), arrayConcat([exception], also))) AS kind_counts,
    sumMap([stage], [toUInt64(1)]) AS stage_counts,
    sumMap([group_key], [toUInt64(1)]) AS group_counts
FROM
(
-- ROWS --
)
