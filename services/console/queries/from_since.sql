-- What somebody works on, and what was delivered since {since}, by the day. What ended lately stands in both tables, and is
-- taken from the first; nothing else is asked for where that has all (since the day before yesterday).
SELECT
    consignment, buyer, stage, mode, tier, required_by, milestone, place, origin, port, facility, terminal, carrier, vessel, voyage,
    delivered_at, expected_delivery, expected_basis, parties, items, delivered, milestones, units, moves, references, exceptions, open_kinds,
    last_event_at
FROM open_journeys FINAL
UNION ALL
SELECT
    consignment, buyer, stage, mode, tier, required_by, milestone, place, origin, port, facility, terminal, carrier, vessel, voyage,
    arrayFirst(m -> m.milestone = 'delivered' AND m.leg = '', milestones).actual AS delivered_at, expected_delivery, expected_basis, parties, items, delivered, milestones, units, moves, references, exceptions, open_kinds,
    last_event_at
FROM journeys FINAL
PREWHERE consignment IN
(
    SELECT consignment FROM journey_finds
    WHERE {since:DateTime64(3, 'UTC')} < today() - 2 AND kind = 'delivered' AND word >= toString(toDate({since:DateTime64(3, 'UTC')}))
)
WHERE stage = 'delivered' AND empty(open_kinds)
    -- asked of these alone: where the day is near, of none
    AND consignment NOT IN
    (
        SELECT consignment
        FROM open_journeys FINAL
        PREWHERE consignment IN
        (
            SELECT consignment FROM journey_finds
            WHERE {since:DateTime64(3, 'UTC')} < today() - 2 AND kind = 'delivered'
                AND word >= toString(toDate({since:DateTime64(3, 'UTC')}))
        )
    )
