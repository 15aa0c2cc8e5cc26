-- Consignments, the worst first unless told otherwise: by severity, then hours. With {kinds} those that have an open exception of
-- one of them; without, all. Empty texts, 0 and the year 1970 mean any.
-- Hours (render.hours_late has the same rule): late, overdue, will_be_late after the plan; dwell and silent over the limit; on_hold
-- since it was placed; of the other kinds none. Of what is still going on they run on to {now}.
-- An acknowledgement or a snooze holds for what it named, if that was so already when it was said: what opened anew is open again.
-- Only of what has one is that compared (set_aside.sql): the rest needs no look at what people did.
-- The order is (group_key, number_key, text_key, consignment): a page begins after the keys of the last row of the one before, or
-- at {offset}. A part between IF and END is there only where its parameter says anything (questions.py). SOURCE is one of from_*.sql:
-- the fewest consignments among which all that are wanted are (0046).
-- `number_key` grows in either direction; what has none of it comes last.
-- Of its columns a question has those it needs (IF told: a row of the list; IF counted: what facets.sql counts; else its place in the
-- order alone), and the register of places only where names are told or sorted by.
WITH
    {now:DateTime64(3, 'UTC')} AS now,
    -- IF quick --
    intDiv(toUnixTimestamp64Milli(now), 1000) AS now_s,
    -- IF late --
    late_rank AS rank, late_hours AS hours, late_base AS base,
    -- ELSE --
    any_rank AS rank, any_hours AS hours, any_base AS base,
    -- END --
    -- ELSE --
    arrayMap(
        (w, place) -> (
            w.1,
            multiIf(
                w.2 IN ('late', 'will_be_late'), w.3,
                w.4 IS NULL, NULL,
                w.2 = 'overdue', dateDiff('second', assumeNotNull(w.4), now) / 3600,
                greatest(dateDiff('second', assumeNotNull(w.4), now) / 3600, 0)
            ),
            w.2,
            place
        ),
        rows.wrong,
        arrayEnumerate(rows.wrong)
    ) AS all_wrong,
    if(empty({kinds:Array(String)}), all_wrong, arrayFilter(w -> has({kinds:Array(String)}, w.3), all_wrong)) AS wrong,
    arrayReverseSort(w -> (w.1, ifNull(w.2, 0), w.3, w.4), wrong)[1] AS worst,
    ['minor', 'major', 'critical'][worst.1] AS worst_severity,
    -- END --
    -- IF places --
    if(places.name = '', facility, places.name) AS hospital,
    -- ELSE --
    facility AS hospital,
    -- END --
    -- IF worked --
    arrayMap(w -> (exceptions.key[w.4], exceptions.start[w.4]), wrong) AS named,
    -- held.sql --,
    arrayReverseSort(
        a -> a.2, arrayFilter(a -> has(a.1, exceptions.key[worst.4]), acknowledgements)
    )[1] AS acknowledgement,
    -- END --
    if({reverse:Bool}, -1, 1) AS direction,
    1e15 AS at_the_end
SELECT
    consignment,
    -- IF placed --
    version,
    -- END --
    -- IF counted --
    facility,
    carrier,
    terminal,
    vessel,
    stage,
    worst.3 AS exception,
    worst_severity AS severity,
    arrayDistinct(arrayFilter(kind -> kind != worst.3, wrong.3)) AS also,
    -- END --
    -- IF told --
    facility,
    hospital,
    if(places.zone = '', 'UTC', places.zone) AS zone,
    exceptions[worst.4].sentence AS sentence,
    worst.3 AS exception,
    worst_severity AS severity,
    if(empty(wrong), NULL, exceptions[worst.4].start) AS since,
    round(worst.2, 1) AS hours_late,
    arrayDistinct(arrayFilter(kind -> kind != worst.3, wrong.3)) AS also,
    stage,
    if(stage = 'registered', '', place) AS place,
    terminal,
    carrier,
    vessel,
    voyage,
    mode,
    milestone,
    expected_delivery,
    expected_basis,
    toBool(ifNull(expected_delivery < now, 0)) AS expected_passed,
    required_by,
    tier,
    last_event_at,
    arrayMap(item -> (item.category, item.quantity, item.unit), items) AS goods,
    -- END --
    -- IF worked --
    arrayMap(w -> exceptions.key[w.4], wrong) AS keys,
    if(acknowledged, acknowledgement.3, '') AS acknowledged_by,
    if(acknowledged, acknowledgement.2, NULL) AS acknowledged_at,
    work.assigned_to AS assigned_to,
    if(snoozed > now, snoozed, NULL) AS snoozed_until,
    work.note AS note,
    work.noted_by AS noted_by,
    -- END --
    -- IF group --
    multiIf(
        {group:String} = 'hospital', hospital,
        {group:String} = 'carrier', toString(carrier),
        {group:String} = 'terminal', toString(terminal),
        {group:String} = 'vessel', vessel,
        -- IF quick --
        -- ELSE --
        {group:String} = 'exception', worst.3,
        {group:String} = 'severity', worst_severity,
        -- END --
        {group:String} = 'stage', toString(stage),
        {group:String} = 'tier', toString(tier),
        ''
    ) AS group_key,
    -- ELSE --
    '' AS group_key,
    -- END --
    -- IF sort --
    -- IF sort_hours --
    if(worst.2 IS NULL, at_the_end, -direction * assumeNotNull(worst.2)) AS number_key,
    -- END --
    -- IF sort_expected --
    if(expected_delivery IS NULL, at_the_end, direction * toFloat64(assumeNotNull(expected_delivery))) AS number_key,
    -- END --
    -- IF sort_required --
    if(required_by IS NULL, at_the_end, direction * toFloat64(assumeNotNull(required_by))) AS number_key,
    -- END --
    -- IF sort_heard --
    if(last_event_at IS NULL, at_the_end, -direction * toFloat64(assumeNotNull(last_event_at))) AS number_key,
    -- END --
    -- IF sort_tier --
    direction * toFloat64(tier) AS number_key,
    -- END --
    -- IF sort_text --
    0. AS number_key,
    multiIf(
        {sort:String} = 'consignment', consignment,
        {sort:String} = 'hospital', hospital,
        {sort:String} = 'carrier', toString(carrier),
        {sort:String} = 'terminal', toString(terminal),
        {sort:String} = 'vessel', vessel,
        {sort:String} = 'stage', toString(stage),
        ''
    ) AS text_key
    -- ELSE --
    '' AS text_key
    -- END --
    -- ELSE --
    -- IF quick --
    -direction * if(rank = 0, 0, rank * 1e9 + greatest(hours, (now_s - base) / 3600)) AS number_key,
    -- ELSE --
    -- the same of the worst, without sorting them to find it
    -direction * arrayMax(w -> w.1 * 1e9 + ifNull(w.2, 0), wrong) AS number_key,
    -- END --
    '' AS text_key
    -- END --
FROM
(
-- SOURCE --
) AS rows
-- IF places --
LEFT JOIN (SELECT code, name, zone FROM facilities FINAL) AS places ON places.code = rows.facility
-- END --
-- IF worked --
LEFT JOIN (
    -- work.sql --
) AS work ON work.of = rows.consignment
-- END --
WHERE true
    -- IF kinds --
    -- IF quick --
    AND rank > 0
    -- ELSE --
    AND (empty({kinds:Array(String)}) OR hasAny(open_kinds, {kinds:Array(String)}))
    -- END --
    -- END --
    -- IF anything --
    -- IF quick --
    AND rank > 0
    -- ELSE --
    AND notEmpty(open_kinds)
    -- END --
    -- END --
    -- IF severity --
    AND ({severity:String} = '' OR arrayExists(w -> ['minor', 'major', 'critical'][w.1] = {severity:String}, wrong))
    -- END --
    -- IF stage --
    AND ({stage:String} = '' OR stage = {stage:String})
    -- END --
    -- IF mode --
    AND ({mode:String} = '' OR mode = {mode:String})
    -- END --
    -- IF state --
    AND (
        {state:String} = ''
        OR ({state:String} = 'open' AND stage NOT IN ('delivered', 'cancelled'))
        OR ({state:String} = 'trouble' AND stage NOT IN ('delivered', 'cancelled') AND notEmpty(open_kinds))
        OR ({state:String} = 'ended' AND stage IN ('delivered', 'cancelled'))
    )
    -- END --
    -- IF delivered_since --
    AND (
        toYear({delivered_since:DateTime64(3, 'UTC')}) = 1970
        OR ifNull(delivered_at >= {delivered_since:DateTime64(3, 'UTC')}, false)
    )
    -- END --
    -- IF expected_on --
    AND expected_delivery BETWEEN toDateTime64({expected_on:Date}, 3, 'UTC') - INTERVAL 14 HOUR
        AND toDateTime64({expected_on:Date}, 3, 'UTC') + INTERVAL 36 HOUR
    AND toDate(formatDateTime(expected_delivery, '%F', if(places.zone = '', 'UTC', places.zone))) = {expected_on:Date}
    -- END --
    -- IF expected_before --
    AND expected_delivery < toDateTime64({expected_before:Date}, 3, 'UTC') + INTERVAL 12 HOUR
    AND toDate(formatDateTime(expected_delivery, '%F', if(places.zone = '', 'UTC', places.zone))) < {expected_before:Date}
    -- END --
    -- IF hospital --
    AND
    -- at_hospital.sql --
    -- END --
    -- IF carrier --
    AND ({carrier:String} = '' OR carrier = {carrier:String} OR has(parties.code, {carrier:String}))
    -- END --
    -- IF terminal --
    AND ({terminal:String} = '' OR terminal = {terminal:String})
    -- END --
    -- IF vessel --
    AND ({vessel:String} = '' OR positionCaseInsensitiveUTF8(vessel, {vessel:String}) > 0)
    -- END --
    -- IF item --
    AND ({item:String} = '' OR has(items.category, {item:String}))
    -- END --
    -- IF tier --
    AND ({tier:UInt8} = 0 OR tier = {tier:UInt8})
    -- END --
    -- IF to_do --
    AND consignment NOT IN (
    -- set_aside.sql --
    )
    -- END --
    -- IF acted --
    AND consignment IN (
    -- set_aside.sql --
    )
    -- END --
    -- IF assigned --
    AND consignment IN (
        SELECT of FROM (
        -- work.sql --
        ) WHERE assigned_to = {assigned:String}
    )
    -- END --
    -- IF owner --
    AND ({owner:String} = '' OR buyer = {owner:String} OR carrier = {owner:String} OR has(parties.code, {owner:String}))
    -- END --
    -- IF without --
    AND consignment NOT IN ({without:Array(String)})
    -- END --
    -- IF after_id --
    AND (
        {after_id:String} = ''
        OR group_key > {after_group:String}
        OR (group_key = {after_group:String} AND number_key > {after_number:Float64})
        OR (group_key = {after_group:String} AND number_key = {after_number:Float64}
            AND if({reverse:Bool}, text_key < {after_text:String}, text_key > {after_text:String}))
        OR (group_key = {after_group:String} AND number_key = {after_number:Float64}
            AND text_key = {after_text:String} AND consignment > {after_id:String})
    )
    -- END --
-- IF ordered --
ORDER BY group_key, number_key, if({reverse:Bool}, '', text_key), if({reverse:Bool}, text_key, '') DESC, consignment
LIMIT {limit:UInt32} OFFSET {offset:UInt32}
-- END --
-- IF zoned --
SETTINGS allow_nonconst_timezone_arguments = 1
-- END --
