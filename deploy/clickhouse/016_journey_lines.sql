-- What lists tell of a consignment, but for what is wrong with it: a narrow row of each that ever was, so that a search, a list or a count
-- of what has ended reads no journeys (docs/decisions/0047). `names`: its id and its references, letters and digits alone, in
-- capitals, with spaces between. `delivered_at`: as a word says it; null: none does.
CREATE TABLE IF NOT EXISTS journey_lines
(
    consignment String,
    version UInt64,
    buyer LowCardinality(String),
    stage LowCardinality(String),
    mode LowCardinality(String),
    tier UInt8,
    required_by Nullable(DateTime64(3, 'UTC')),
    delivered_at Nullable(DateTime64(3, 'UTC')),
    milestone LowCardinality(String),
    place String,
    facility LowCardinality(String),
    terminal LowCardinality(String),
    carrier LowCardinality(String),
    vessel String,
    voyage String,
    expected_delivery Nullable(DateTime64(3, 'UTC')),
    expected_basis LowCardinality(String),
    parties Array(Tuple(role String, code String)),
    items Array(Tuple(line UInt32, category String, description String, quantity UInt64, unit String, lot String)),
    names String,
    last_event_at Nullable(DateTime64(3, 'UTC'))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY consignment
SETTINGS index_granularity = 1024;

CREATE MATERIALIZED VIEW IF NOT EXISTS journey_lines__from__journeys TO journey_lines AS
SELECT
    consignment,
    version,
    buyer,
    stage,
    mode,
    tier,
    required_by,
    arrayFirst(m -> m.milestone = 'delivered' AND m.leg = '', milestones).actual AS delivered_at,
    milestone,
    place,
    facility,
    terminal,
    carrier,
    vessel,
    voyage,
    expected_delivery,
    expected_basis,
    parties,
    items,
    arrayStringConcat(arrayDistinct(arrayMap(
        name -> replaceRegexpAll(upper(name), '[^A-Z0-9]', ''), arrayPushFront(references.value, consignment)
    )), ' ') AS names,
    last_event_at
FROM journeys;

-- What there was before. Written again by a migration that is run again: the table keeps one of each.
INSERT INTO journey_lines
(
    consignment, version, buyer, stage, mode, tier, required_by, delivered_at, milestone, place, facility, terminal, carrier, vessel,
    voyage, expected_delivery, expected_basis, parties, items, names, last_event_at
)
SELECT
    consignment,
    version,
    buyer,
    stage,
    mode,
    tier,
    required_by,
    arrayFirst(m -> m.milestone = 'delivered' AND m.leg = '', milestones).actual,
    milestone,
    place,
    facility,
    terminal,
    carrier,
    vessel,
    voyage,
    expected_delivery,
    expected_basis,
    parties,
    items,
    arrayStringConcat(arrayDistinct(arrayMap(
        name -> replaceRegexpAll(upper(name), '[^A-Z0-9]', ''), arrayPushFront(references.value, consignment)
    )), ' '),
    last_event_at
FROM journeys FINAL;
