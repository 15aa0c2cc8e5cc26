-- What somebody works on, and what was delivered since {delivered_since} and has left that table by the server's clock.
SELECT
    consignment, buyer, stage, mode, tier, required_by, milestone, place, facility, terminal, carrier, vessel, voyage,
    expected_delivery, expected_basis, parties, items, milestones, references, open_kinds, last_event_at,
    wrong,
    exceptions,
    false AS found
FROM open_journeys FINAL
UNION ALL
SELECT
    consignment, buyer, stage, mode, tier, required_by, milestone, place, facility, terminal, carrier, vessel, voyage,
    expected_delivery, expected_basis, parties, items, milestones, references, open_kinds, last_event_at,
    -- wrong.sql --,
    arrayFilter(e -> e.status = 'open', exceptions) AS exceptions,
    false AS found
FROM journeys FINAL
PREWHERE consignment IN
(
    SELECT consignment FROM journey_finds
    WHERE {delivered_since:DateTime64(3, 'UTC')} < today() - 2 AND kind = 'delivered'
        AND word >= toString(toDate({delivered_since:DateTime64(3, 'UTC')}))
)
WHERE consignment NOT IN (SELECT consignment FROM open_journeys FINAL)
