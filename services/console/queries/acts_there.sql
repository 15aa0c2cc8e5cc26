-- How many of these acts are here.
SELECT uniqExact(act_id) AS found
FROM work_acts
WHERE consignment IN {consignments:Array(String)} AND act_id IN {ids:Array(String)}
