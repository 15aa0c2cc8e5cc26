    consignment, buyer, stage, mode, tier, required_by, milestone, place, facility, terminal, carrier, vessel, voyage,
    expected_delivery, expected_basis, parties, items, open_kinds, last_event_at
