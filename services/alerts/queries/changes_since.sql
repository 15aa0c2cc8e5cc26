-- What the alerts' rules read: changes as they were taken by the broker, of all consignments or of one.
SELECT record, k_partition AS partition, k_offset AS offset, k_time AS appended_at
FROM journey_changes
WHERE k_time >= {since:DateTime64(3, 'UTC')}
    AND ({consignment:String} = '' OR consignment = {consignment:String})
    AND kind NOT IN ('command_accepted', 'command_refused', 'closed')
    AND NOT undecodable
ORDER BY k_time, partition, offset
LIMIT {limit:UInt32}
