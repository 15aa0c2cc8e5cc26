-- Whose words move nothing where: by sender and consignment, the most first.
SELECT claim.sender AS sender, consignment, uniqExact(claim.event_id) AS words
FROM
(
-- with_claims.sql --
)
ARRAY JOIN claims AS claim
WHERE {sender:String} = '' OR claim.sender = {sender:String}
GROUP BY sender, consignment
ORDER BY words DESC, sender, consignment
LIMIT {limit:UInt32}
