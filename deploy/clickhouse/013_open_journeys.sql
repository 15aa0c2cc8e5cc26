-- The consignments that somebody works on: not ended, or ended within 3 days, or ended with something still wrong. journeys keeps
-- every consignment for ever, and FINAL over a million rows with arrays takes a second; of these there are tens of thousands
-- (docs/decisions/0046). `gone`: ended before that; such a row is empty and hides the one before it (FINAL leaves it out).
-- What has ended goes at `leaves_at`, a day or more after it was written: by then its part, like all that are older than an hour,
-- was merged with the others, so that no older row is left that it hid. Where the server stood still in between that may not be
-- so: at each start what has ended and left too early is written once more (services/sink/migrate.py, HIDE_AGAIN).
-- `wrong` stands beside `exceptions`, place by place: rank (minor 1 to critical 3), kind, the hours where they are known, else since
-- when they grow (render.hours_late has the same rule). It is what lists are chosen and sorted by.
CREATE TABLE IF NOT EXISTS open_journeys
(
    consignment String,
    version UInt64,
    gone UInt8,
    leaves_at DateTime,
    delivered_at Nullable(DateTime64(3, 'UTC')),
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
    wrong Array(Tuple(rank UInt8, kind String, hours Nullable(Float64), base Nullable(DateTime64(3, 'UTC')))),
    open_kinds Array(LowCardinality(String)),
    last_event_at Nullable(DateTime64(3, 'UTC'))
)
ENGINE = ReplacingMergeTree(version, gone)
ORDER BY consignment
TTL leaves_at DELETE
SETTINGS index_granularity = 1024, min_age_to_force_merge_seconds = 3600;

CREATE MATERIALIZED VIEW IF NOT EXISTS open_journeys__from__journeys TO open_journeys AS
SELECT
    consignment,
    version,
    gone,
    leaves_at,
    if(gone, NULL, delivered_at) AS delivered_at,
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
    arrayFilter(one -> NOT gone, wrong) AS wrong,
    open_kinds,
    if(gone, NULL, last_event_at) AS last_event_at
FROM
(
    SELECT
        *,
        stage IN ('delivered', 'cancelled') AND empty(open_kinds) AS is_over,
        arrayFirst(m -> m.milestone = 'delivered' AND m.leg = '', milestones).actual AS delivered_at,
        coalesce(delivered_at, milestone_at, at) AS ended_at,
        is_over AND ifNull(ended_at < now() - INTERVAL 3 DAY, false) AS gone,
        multiIf(gone, now() + INTERVAL 1 DAY, is_over, now() + INTERVAL 4 DAY, toDateTime('2100-01-01')) AS leaves_at,
        arrayMap(
            e -> (
                indexOf(['minor', 'major', 'critical'], e.severity),
                e.kind,
                if(e.kind IN ('late', 'will_be_late'), e.late_h, NULL),
                multiIf(
                    e.kind = 'overdue',
                    coalesce(
                        arrayFirst(m -> m.milestone = e.milestone AND m.leg = '', milestones).planned,
                        if(e.milestone = 'delivered', required_by, NULL),
                        e.start
                    ),
                    e.kind IN ('dwell', 'silent', 'on_hold'),
                    e.start,
                    NULL
                )
            ),
            arrayFilter(e -> e.status = 'open', exceptions)
        ) AS wrong
    FROM journeys
);

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
    consignment, version, gone, leaves_at, delivered_at, buyer, stage, mode, tier, required_by, milestone, milestone_at, place,
    origin, port, facility, terminal, carrier, vessel, voyage, expected_delivery, expected_basis, parties, items,
    delivered, milestones, units, moves, references, exceptions, wrong, open_kinds, last_event_at
)
WITH
    stage IN ('delivered', 'cancelled') AND empty(open_kinds) AS is_over,
    arrayFirst(m -> m.milestone = 'delivered' AND m.leg = '', milestones).actual AS delivered_at,
    coalesce(delivered_at, milestone_at, at) AS ended_at,
    arrayMap(
        e -> (
            indexOf(['minor', 'major', 'critical'], e.severity),
            e.kind,
            if(e.kind IN ('late', 'will_be_late'), e.late_h, NULL),
            multiIf(
                e.kind = 'overdue',
                coalesce(
                    arrayFirst(m -> m.milestone = e.milestone AND m.leg = '', milestones).planned,
                    if(e.milestone = 'delivered', required_by, NULL),
                    e.start
                ),
                e.kind IN ('dwell', 'silent', 'on_hold'),
                e.start,
                NULL
            )
        ),
        arrayFilter(e -> e.status = 'open', exceptions)
    ) AS wrong
SELECT
    consignment, version, 0, if(is_over, now() + INTERVAL 4 DAY, toDateTime('2100-01-01')),
    delivered_at, buyer, stage, mode, tier, required_by, milestone, milestone_at, place, origin, port, facility, terminal, carrier, vessel, voyage,
    expected_delivery, expected_basis, parties, items, delivered, milestones, units, moves, references, arrayFilter(e -> e.status = 'open', exceptions), wrong, open_kinds, last_event_at
FROM journeys FINAL
WHERE NOT is_over OR ifNull(ended_at >= now() - INTERVAL 3 DAY, true);

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
