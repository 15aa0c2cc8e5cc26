-- Every consignment that ever was: what somebody works on, and what ended long ago with nothing wrong (0046).
SELECT
    consignment, buyer, stage, mode, tier, required_by, milestone, place, facility, terminal, carrier, vessel, voyage,
    expected_delivery, expected_basis, parties, items, milestones, references, open_kinds, last_event_at,
    wrong,
    exceptions,
    false AS found
FROM open_journeys FINAL
UNION ALL
-- ended.sql --
FROM journeys FINAL
WHERE consignment NOT IN (SELECT consignment FROM open_journeys FINAL)
