-- What was delivered since {delivered_since}, by the day.
SELECT
    consignment, buyer, stage, mode, tier, required_by, milestone, place, facility, terminal, carrier, vessel, voyage,
    expected_delivery, expected_basis, parties, items, milestones, references, exceptions, open_kinds, last_event_at,
    false AS found
FROM journeys FINAL
WHERE consignment IN
(
    SELECT consignment FROM journey_finds
    WHERE kind = 'delivered' AND word >= toString(toDate({delivered_since:DateTime64(3, 'UTC')}))
)
