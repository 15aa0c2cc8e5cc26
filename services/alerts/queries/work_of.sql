-- What people did about these consignments that a second contact's sleep depends on, in the order in which they did it.
SELECT record
FROM work_acts
WHERE consignment IN {consignments:Array(String)} AND act IN ('acknowledge', 'snooze', 'undo') AND NOT undecodable
ORDER BY consignment, k_partition, k_offset
