-- What has {bare} in its id or in a reference, ended or not (the first 10,000); and what somebody works on, for a word in the
-- name of a vessel or hospital.
WITH hits AS
(
    SELECT DISTINCT consignment FROM journey_finds
    WHERE kind = 'name' AND {bare:String} != '' AND position(word, {bare:String}) > 0
    LIMIT 10000
)
SELECT
    consignment, buyer, stage, mode, tier, required_by, milestone, place, facility, terminal, carrier, vessel, voyage,
    expected_delivery, expected_basis, parties, items, milestones, references, exceptions, open_kinds, last_event_at,
    true AS found
FROM journeys FINAL
WHERE consignment IN (hits)
UNION ALL
SELECT
    consignment, buyer, stage, mode, tier, required_by, milestone, place, facility, terminal, carrier, vessel, voyage,
    expected_delivery, expected_basis, parties, items, milestones, references, exceptions, open_kinds, last_event_at,
    false AS found
FROM open_journeys FINAL
WHERE consignment NOT IN (hits)
