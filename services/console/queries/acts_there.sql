-- How many of these acts are here.
SELECT uniqExact(act_id) AS found FROM work_acts WHERE at > now() - INTERVAL 1 DAY AND act_id IN {ids:Array(String)}
