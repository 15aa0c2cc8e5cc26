-- What a page tells of {ids}, as it stands: what follows from it at a time is told in services/console/facts.py. Of open work, or of what
-- has ended (IF ended), with which nothing is wrong.
SELECT
    consignment, version, facility, stage, place, terminal, carrier, vessel, voyage, mode, milestone, expected_delivery,
    expected_basis, required_by, tier, last_event_at,
    items.category AS categories, items.quantity AS quantities, items.unit AS item_units,
    -- IF ended --
    CAST([], 'Array(UInt8)') AS ranks, CAST([], 'Array(String)') AS kinds, CAST([], 'Array(Nullable(Float64))') AS hours,
    CAST([], 'Array(Nullable(DateTime64(3, \'UTC\')))') AS bases, CAST([], 'Array(String)') AS keys,
    CAST([], 'Array(DateTime64(3, \'UTC\'))') AS starts, CAST([], 'Array(String)') AS sentences
FROM journey_lines FINAL
    -- ELSE --
    wrong.rank AS ranks, wrong.kind AS kinds, wrong.hours AS hours, wrong.base AS bases,
    exceptions.key AS keys, exceptions.start AS starts, exceptions.sentence AS sentences
FROM open_journeys FINAL
    -- END --
PREWHERE consignment IN ({ids:Array(String)})
