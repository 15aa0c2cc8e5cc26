-- Consignments with open exceptions of the wanted kinds, the worst first: severity, then hours.
-- Hours (render.hours_late has the same rule): late, overdue, will_be_late after the plan; dwell and silent over the limit; on_hold
-- since it was placed; of the other kinds none. Of what is still going on they run on to {now}.
WITH
    {now:DateTime64(3, 'UTC')} AS now,
    arrayMap(
        e -> (
            indexOf(['minor', 'major', 'critical'], e.severity),
            multiIf(
                e.kind IN ('late', 'will_be_late'),
                e.late_h,
                e.kind = 'overdue',
                dateDiff(
                    'second',
                    coalesce(
                        arrayFirst(m -> m.milestone = e.milestone AND m.leg = '', milestones).planned,
                        if(e.milestone = 'delivered', required_by, NULL),
                        e.start
                    ),
                    now
                ) / 3600,
                e.kind IN ('dwell', 'silent', 'on_hold'),
                greatest(dateDiff('second', e.start, now) / 3600, 0),
                NULL
            ) AS hours,
            e.kind,
            e.severity,
            e.start,
            e.sentence
        ),
        arrayFilter(e -> e.status = 'open' AND has({kinds:Array(String)}, e.kind), exceptions)
    ) AS wrong,
    arrayReverseSort(w -> (w.1, ifNull(w.2, 0), w.3, w.5), wrong)[1] AS worst
SELECT
    consignment,
    facility,
    if(places.name = '', facility, places.name) AS hospital,
    if(places.zone = '', 'UTC', places.zone) AS zone,
    worst.6 AS sentence,
    worst.3 AS exception,
    worst.4 AS severity,
    worst.5 AS since,
    round(worst.2, 1) AS hours_late,
    arrayDistinct(arrayFilter(kind -> kind != worst.3, wrong.3)) AS also,
    stage,
    if(stage = 'registered', '', place) AS place,
    terminal,
    carrier,
    vessel,
    voyage,
    expected_delivery,
    expected_basis,
    toBool(ifNull(expected_delivery < now, 0)) AS expected_passed,
    tier,
    arrayMap(item -> (item.category, item.quantity, item.unit), items) AS goods
FROM (SELECT * FROM journeys FINAL) AS journeys
LEFT JOIN (SELECT code, name, zone FROM facilities FINAL) AS places ON places.code = journeys.facility
WHERE notEmpty(wrong)
    AND ({hospital:String} = '' OR facility = {hospital:String}
        OR positionCaseInsensitiveUTF8(places.name, {hospital:String}) > 0)
    AND ({carrier:String} = '' OR carrier = {carrier:String} OR has(parties.code, {carrier:String}))
    AND ({terminal:String} = '' OR terminal = {terminal:String})
    AND ({vessel:String} = '' OR positionCaseInsensitiveUTF8(vessel, {vessel:String}) > 0)
    AND ({item:String} = '' OR has(items.category, {item:String}))
    AND ({tier:UInt8} = 0 OR tier = {tier:UInt8})
ORDER BY worst.1 DESC, ifNull(worst.2, 0) DESC, consignment
LIMIT {limit:UInt32}
