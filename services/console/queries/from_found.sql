-- {ids}, ended or not (hits.sql); and what somebody works on, for a word in the name of a vessel or hospital.
SELECT
    consignment, buyer, stage, mode, tier, required_by, milestone, place, facility, terminal, carrier, vessel, voyage,
    expected_delivery, expected_basis, parties, items, milestones, references, open_kinds, last_event_at,
    -- wrong.sql --,
    arrayFilter(e -> e.status = 'open', exceptions) AS exceptions,
    true AS found
FROM journeys FINAL
PREWHERE consignment IN ({ids:Array(String)})
UNION ALL
SELECT
    consignment, buyer, stage, mode, tier, required_by, milestone, place, facility, terminal, carrier, vessel, voyage,
    expected_delivery, expected_basis, parties, items, milestones, references, open_kinds, last_event_at,
    wrong,
    exceptions,
    false AS found
FROM open_journeys FINAL
WHERE consignment NOT IN ({ids:Array(String)})
    AND (
        positionCaseInsensitiveUTF8(vessel, {text:String}) > 0
        OR facility IN (SELECT code FROM facilities FINAL WHERE positionCaseInsensitiveUTF8(name, {text:String}) > 0)
    )
