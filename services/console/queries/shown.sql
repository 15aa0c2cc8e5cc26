    consignment, buyer, stage, mode, tier, required_by, milestone, place, facility, terminal, carrier, vessel, voyage,
    expected_delivery, expected_basis, parties, items, last_event_at, delivered_at
