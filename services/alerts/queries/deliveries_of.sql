-- Every attempt to hand a notification to a provider, and what the provider said.
SELECT attempt, state, provider, provider_ref, at, text, JSONExtractString(record, 'reason') AS reason
FROM deliveries
WHERE notification = {notification:String}
ORDER BY k_partition, k_offset
