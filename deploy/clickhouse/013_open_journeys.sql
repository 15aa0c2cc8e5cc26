-- The consignments that somebody works on: not ended, or ended with something still wrong. journeys keeps every consignment for
-- ever, and FINAL over a million rows with arrays takes a second; of these there are tens of thousands (docs/decisions/0046).
-- `gone`: ended; such a row is empty, hides the one before it (FINAL leaves it out), and goes 30 days after it was written. By then
-- parts older than a day have long been merged with each other, so no older row is left that it hides.
CREATE TABLE IF NOT EXISTS open_journeys
(
    consignment String,
    version UInt64,
    gone UInt8,
    inserted_at DateTime DEFAULT now(),
    buyer LowCardinality(String),
    stage LowCardinality(String),
    mode LowCardinality(String),
    tier UInt8,
    required_by Nullable(DateTime64(3, 'UTC')),
    milestone LowCardinality(String),
    milestone_at Nullable(DateTime64(3, 'UTC')),
    place String,
    origin LowCardinality(String),
    port LowCardinality(String),
    facility LowCardinality(String),
    terminal LowCardinality(String),
    carrier LowCardinality(String),
    vessel String,
    voyage String,
    expected_delivery Nullable(DateTime64(3, 'UTC')),
    expected_basis LowCardinality(String),
    parties Array(Tuple(role String, code String)),
    items Array(Tuple(line UInt32, category String, description String, quantity UInt64, unit String, lot String)),
    delivered Array(Tuple(line UInt32, good UInt64, basis String)),
    milestones Array(Tuple(
        milestone String, leg String, planned Nullable(DateTime64(3, 'UTC')), estimated Nullable(DateTime64(3, 'UTC')),
        actual Nullable(DateTime64(3, 'UTC')), sender String, done UInt32, total UInt32)),
    units Array(Tuple(unit String, milestone String, at Nullable(DateTime64(3, 'UTC')), place String)),
    moves Array(Tuple(unit String, milestone String, leg String, at DateTime64(3, 'UTC'), sender String)),
    references Array(Tuple(kind String, value String, how String)),
    exceptions Array(Tuple(
        key String, kind String, milestone String, status String, severity String, start DateTime64(3, 'UTC'),
        end Nullable(DateTime64(3, 'UTC')), late_h Nullable(Float64), party String, sentence String)),
    open_kinds Array(LowCardinality(String)),
    last_event_at Nullable(DateTime64(3, 'UTC'))
)
ENGINE = ReplacingMergeTree(version, gone)
ORDER BY consignment
TTL inserted_at + INTERVAL 30 DAY DELETE WHERE gone = 1
SETTINGS min_age_to_force_merge_seconds = 86400;

CREATE MATERIALIZED VIEW IF NOT EXISTS open_journeys__from__journeys TO open_journeys AS
SELECT
    consignment,
    version,
    stage IN ('delivered', 'cancelled') AND empty(open_kinds) AS gone,
    buyer,
    stage,
    mode,
    tier,
    if(gone, NULL, required_by) AS required_by,
    milestone,
    if(gone, NULL, milestone_at) AS milestone_at,
    if(gone, '', place) AS place,
    origin,
    port,
    facility,
    terminal,
    carrier,
    if(gone, '', vessel) AS vessel,
    if(gone, '', voyage) AS voyage,
    if(gone, NULL, expected_delivery) AS expected_delivery,
    expected_basis,
    arrayFilter(one -> NOT gone, parties) AS parties,
    arrayFilter(one -> NOT gone, items) AS items,
    arrayFilter(one -> NOT gone, delivered) AS delivered,
    arrayFilter(one -> NOT gone, milestones) AS milestones,
    arrayFilter(one -> NOT gone, units) AS units,
    arrayFilter(one -> NOT gone, moves) AS moves,
    arrayFilter(one -> NOT gone, references) AS references,
    arrayFilter(one -> NOT gone AND one.status = 'open', exceptions) AS exceptions,
    open_kinds,
    if(gone, NULL, last_event_at) AS last_event_at
FROM journeys;

-- What a consignment is found by: its id and its references (`name`, letters and digits alone, in capitals), and the day on which
-- it was delivered (`delivered`, UTC; where no word says when, that of its last milestone). What a later version no longer says stays here: whoever asks compares with journeys.
CREATE TABLE IF NOT EXISTS journey_finds
(
    kind LowCardinality(String),
    word String,
    consignment String
)
ENGINE = ReplacingMergeTree
ORDER BY (kind, word, consignment);

CREATE MATERIALIZED VIEW IF NOT EXISTS journey_finds__from__journeys TO journey_finds AS
SELECT found.1 AS kind, found.2 AS word, consignment
FROM journeys
ARRAY JOIN arrayDistinct(arrayConcat(
    [('name', replaceRegexpAll(upper(consignment), '[^A-Z0-9]', ''))],
    arrayMap(r -> ('name', replaceRegexpAll(upper(r.value), '[^A-Z0-9]', '')), references),
    arrayMap(
        moment -> ('delivered', toString(toDate(assumeNotNull(moment)))),
        arrayFilter(moment -> moment IS NOT NULL, [coalesce(
            arrayFirst(m -> m.milestone = 'delivered' AND m.leg = '', milestones).actual,
            if(stage = 'delivered', coalesce(milestone_at, at), NULL)
        )])
    )
)) AS found;

-- What there was before. Written again by a migration that is run again: the tables keep one of each.
INSERT INTO open_journeys
(
    consignment, version, gone, buyer, stage, mode, tier, required_by, milestone, milestone_at, place, origin, port, facility,
    terminal, carrier, vessel, voyage, expected_delivery, expected_basis, parties, items, delivered, milestones, units, moves,
    references, exceptions, open_kinds, last_event_at
)
SELECT
    consignment, version, 0, buyer, stage, mode, tier, required_by, milestone, milestone_at, place, origin, port, facility,
    terminal, carrier, vessel, voyage, expected_delivery, expected_basis, parties, items, delivered, milestones, units, moves,
    references, arrayFilter(one -> one.status = 'open', exceptions), open_kinds, last_event_at
FROM journeys FINAL
WHERE NOT (stage IN ('delivered', 'cancelled') AND empty(open_kinds));

INSERT INTO journey_finds (kind, word, consignment)
SELECT found.1, found.2, consignment
FROM journeys FINAL
ARRAY JOIN arrayDistinct(arrayConcat(
    [('name', replaceRegexpAll(upper(consignment), '[^A-Z0-9]', ''))],
    arrayMap(r -> ('name', replaceRegexpAll(upper(r.value), '[^A-Z0-9]', '')), references),
    arrayMap(
        moment -> ('delivered', toString(toDate(assumeNotNull(moment)))),
        arrayFilter(moment -> moment IS NOT NULL, [coalesce(
            arrayFirst(m -> m.milestone = 'delivered' AND m.leg = '', milestones).actual,
            if(stage = 'delivered', coalesce(milestone_at, at), NULL)
        )])
    )
)) AS found;
