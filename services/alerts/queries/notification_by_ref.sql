-- The notification behind what a recipient has in hand: a mail's Message-ID, or the provider's id of an SMS.
SELECT DISTINCT notification
FROM deliveries
WHERE provider_ref = {ref:String} OR JSONExtractString(record, 'message_id') = {ref:String}
LIMIT 2
