-- What reports over weeks are asked of: one narrow row an event and one a consignment, so that a question about all of them reads a
-- few bytes of each, and numbers alone are grouped (docs/decisions/0047).

-- Events, as far as it matters how well they can be read and who owns them. `id`: event_id as a number; `place`: where its revision
-- stands in the order of its revisions; `marks`: milliseconds since 1970 at which it occurred, times 64, and bits: 1 its code
-- is in a map, 2 its zone was said, 4 its references are valid, 8 it is an actual, 16 it is withdrawn, 32 it was read with warnings; `links`: what it links by, hashed (services/tracker/event_store.py, linking_references: a
-- voyage only where nothing else is named), the first of them in words in `kind` and `value`.
-- Replacing, because the sink fills it again after some crashes (services/sink/logs.py, "Recovery").
CREATE TABLE IF NOT EXISTS event_marks
(
    sender LowCardinality(String),
    received_at DateTime64(3, 'UTC'),
    k_partition UInt32,
    k_offset UInt64,
    id UInt128,
    place UInt128,
    marks UInt64,
    code LowCardinality(String),
    links Array(UInt64),
    kind LowCardinality(String),
    value String
)
ENGINE = ReplacingMergeTree
ORDER BY (sender, received_at, k_partition, k_offset);

CREATE MATERIALIZED VIEW IF NOT EXISTS event_marks__from__shipment_events TO event_marks AS
SELECT
    sender,
    received_at,
    k_partition,
    k_offset,
    reinterpretAsUInt128(unhex(event_id)) AS id,
    bitOr(
        bitOr(
            bitShiftLeft(toUInt128(toUnixTimestamp64Milli(revision_at)), 80),
            bitShiftLeft(toUInt128(least(revision_reader, 65535)), 64)
        ),
        toUInt128(reinterpretAsUInt64(reverse(unhex(revision_content))))
    ) AS place,
    toUInt64(toUnixTimestamp64Milli(occurred_at)) * 64
        + mapped
        + 2 * (has(warnings, 'zone_assumed') = 0)
        + 4 * (hasAny(warnings, [
            'bad_reference', 'bad_check_digit', 'check_digit_computed', 'not_iso_6346', 'placeholder', 'contradiction',
            'bad_imo', 'bad_flight', 'bad_lot', 'reference_from_id', 'too_many_references'
        ]) = 0)
        + 8 * (classifier = 'actual')
        + 16 * retracted
        + 32 * notEmpty(warnings) AS marks,
    code,
    arrayMap(link -> sipHash64(link.1, link.2), named) AS links,
    named[1].1 AS kind,
    named[1].2 AS value
FROM
(
    SELECT
        * EXCEPT kind,
        arraySort(arrayFilter(
            r -> r.1 IN (
                'consignment', 'container', 'bill_of_lading', 'booking', 'air_waybill', 'uld', 'pro_number', 'rail_car', 'voyage',
                'sscc', 'sgtin'
            ),
            references
        )) AS linking,
        arrayFilter(r -> r.1 != 'voyage', linking) AS closer,
        if(empty(closer), linking, closer) AS named
    FROM shipment_events
    WHERE shipment_events.kind = 'event'
);

-- Consignments, as far as reports over weeks tell of them. `links`: its references, hashed as those of events. `stays`: of each
-- unit at the terminal of its consignment: from the earlier of discharged and available (`base`) to leaving it (`left_at`; null: it
-- still stands there). A unit without a word of its own takes the whole consignment's. Gone: gate_out, else any later milestone.
CREATE TABLE IF NOT EXISTS journey_marks
(
    consignment String,
    version UInt64,
    stage LowCardinality(String),
    mode LowCardinality(String),
    origin LowCardinality(String),
    port LowCardinality(String),
    terminal LowCardinality(String),
    carrier LowCardinality(String),
    links Array(UInt64),
    arrival_planned Nullable(DateTime64(3, 'UTC')),
    arrival_estimated Nullable(DateTime64(3, 'UTC')),
    arrived_at Nullable(DateTime64(3, 'UTC')),
    stays Array(Tuple(unit String, base DateTime64(3, 'UTC'), left_at Nullable(DateTime64(3, 'UTC'))))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY consignment;

CREATE MATERIALIZED VIEW IF NOT EXISTS journey_marks__from__journeys TO journey_marks AS
SELECT
    consignment,
    version,
    stage,
    mode,
    origin,
    port,
    terminal,
    carrier,
    arrayConcat([sipHash64('consignment', consignment)], arrayMap(r -> sipHash64(r.kind, r.value), references)) AS links,
    arrival.planned AS arrival_planned,
    arrival.estimated AS arrival_estimated,
    arrival.actual AS arrived_at,
    if(terminal = '', [], arrayFilter(
        stay -> stay.2 > toDateTime64(0, 3, 'UTC'),
        arrayMap(
            unit -> (
                unit,
                arrayMin(arrayMap(
                    m -> m.at, arrayFilter(m -> (m.unit = unit OR m.unit = '') AND m.milestone IN ('discharged', 'available'), moves)
                )),
                coalesce(
                    nullIf(arrayMin(arrayMap(
                        m -> m.at, arrayFilter(m -> (m.unit = unit OR m.unit = '') AND m.milestone = 'gate_out', moves)
                    )), toDateTime64(0, 3, 'UTC')),
                    nullIf(arrayMin(arrayMap(
                        m -> m.at,
                        arrayFilter(
                            m -> (m.unit = unit OR m.unit = '') AND m.milestone IN ('arrived_consignee', 'delivered', 'empty_returned'), moves
                        )
                    )), toDateTime64(0, 3, 'UTC'))
                )
            ),
            if(empty(named), [''], named)
        )
    )) AS stays
FROM
(
    SELECT
        *,
        arrayFirst(m -> m.milestone = 'arrived' AND m.leg = '', milestones) AS arrival,
        arrayFilter(u -> u != '', arrayDistinct(arrayConcat(units.unit, moves.unit))) AS named
    FROM journeys
);

-- What there was before. Written again by a migration that is run again: the tables keep one of each.
INSERT INTO event_marks
(
    sender, received_at, k_partition, k_offset, id, place, marks, code, links, kind, value
)
SELECT
    sender,
    received_at,
    k_partition,
    k_offset,
    reinterpretAsUInt128(unhex(event_id)) AS id,
    bitOr(
        bitOr(
            bitShiftLeft(toUInt128(toUnixTimestamp64Milli(revision_at)), 80),
            bitShiftLeft(toUInt128(least(revision_reader, 65535)), 64)
        ),
        toUInt128(reinterpretAsUInt64(reverse(unhex(revision_content))))
    ) AS place,
    toUInt64(toUnixTimestamp64Milli(occurred_at)) * 64
        + mapped
        + 2 * (has(warnings, 'zone_assumed') = 0)
        + 4 * (hasAny(warnings, [
            'bad_reference', 'bad_check_digit', 'check_digit_computed', 'not_iso_6346', 'placeholder', 'contradiction',
            'bad_imo', 'bad_flight', 'bad_lot', 'reference_from_id', 'too_many_references'
        ]) = 0)
        + 8 * (classifier = 'actual')
        + 16 * retracted
        + 32 * notEmpty(warnings) AS marks,
    code,
    arrayMap(link -> sipHash64(link.1, link.2), named) AS links,
    named[1].1 AS kind,
    named[1].2 AS value
FROM
(
    SELECT
        * EXCEPT kind,
        arraySort(arrayFilter(
            r -> r.1 IN (
                'consignment', 'container', 'bill_of_lading', 'booking', 'air_waybill', 'uld', 'pro_number', 'rail_car', 'voyage',
                'sscc', 'sgtin'
            ),
            references
        )) AS linking,
        arrayFilter(r -> r.1 != 'voyage', linking) AS closer,
        if(empty(closer), linking, closer) AS named
    FROM shipment_events
    WHERE shipment_events.kind = 'event'
);

INSERT INTO journey_marks
(
    consignment, version, stage, mode, origin, port, terminal, carrier, links, arrival_planned, arrival_estimated,
    arrived_at, stays
)
SELECT
    consignment,
    version,
    stage,
    mode,
    origin,
    port,
    terminal,
    carrier,
    arrayConcat([sipHash64('consignment', consignment)], arrayMap(r -> sipHash64(r.kind, r.value), references)) AS links,
    arrival.planned AS arrival_planned,
    arrival.estimated AS arrival_estimated,
    arrival.actual AS arrived_at,
    if(terminal = '', [], arrayFilter(
        stay -> stay.2 > toDateTime64(0, 3, 'UTC'),
        arrayMap(
            unit -> (
                unit,
                arrayMin(arrayMap(
                    m -> m.at, arrayFilter(m -> (m.unit = unit OR m.unit = '') AND m.milestone IN ('discharged', 'available'), moves)
                )),
                coalesce(
                    nullIf(arrayMin(arrayMap(
                        m -> m.at, arrayFilter(m -> (m.unit = unit OR m.unit = '') AND m.milestone = 'gate_out', moves)
                    )), toDateTime64(0, 3, 'UTC')),
                    nullIf(arrayMin(arrayMap(
                        m -> m.at,
                        arrayFilter(
                            m -> (m.unit = unit OR m.unit = '') AND m.milestone IN ('arrived_consignee', 'delivered', 'empty_returned'), moves
                        )
                    )), toDateTime64(0, 3, 'UTC'))
                )
            ),
            if(empty(named), [''], named)
        )
    )) AS stays
FROM
(
    SELECT
        *,
        arrayFirst(m -> m.milestone = 'arrived' AND m.leg = '', milestones) AS arrival,
        arrayFilter(u -> u != '', arrayDistinct(arrayConcat(units.unit, moves.unit))) AS named
    FROM journeys FINAL
);
