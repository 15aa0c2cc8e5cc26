-- Those of a page, by {ids}, of all that ever were.
SELECT
    consignment, buyer, stage, mode, tier, required_by, milestone, place, facility, terminal, carrier, vessel, voyage,
    expected_delivery, expected_basis, parties, items, milestones, references, open_kinds, last_event_at,
    wrong,
    exceptions,
    false AS found
FROM open_journeys FINAL
PREWHERE consignment IN ({ids:Array(String)})
UNION ALL
-- ended.sql --
FROM journeys FINAL
PREWHERE consignment IN ({ids:Array(String)})
WHERE consignment NOT IN (SELECT consignment FROM open_journeys FINAL PREWHERE consignment IN ({ids:Array(String)}))
