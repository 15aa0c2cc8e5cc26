-- Where goods go: of each facility how many consignments are open, with how many something is wrong, delivered or not (short and conflict
-- outlive delivery), and what came since {delivered_since}.
SELECT
    journeys.facility AS facility,
    if(any(places.name) = '', facility, any(places.name)) AS name,
    any(places.zone) AS zone,
    countIf(is_open) AS open,
    countIf(notEmpty(open_kinds)) AS in_trouble,
    countIf(hasAny(open_kinds, ['late', 'will_be_late', 'overdue'])) AS delayed,
    countIf(tier = 1 AND notEmpty(open_kinds)) AS first_tier,
    countIf(worst = 3) AS critical,
    countIf(delivered_at >= {delivered_since:DateTime64(3, 'UTC')}) AS delivered,
    minIf(expected_delivery, is_open AND expected_delivery >= {now:DateTime64(3, 'UTC')}) AS next_expected
FROM
(
    SELECT
        facility,
        tier,
        open_kinds,
        expected_delivery,
        stage NOT IN ('delivered', 'cancelled') AS is_open,
        arrayMax(rows.wrong.rank) AS worst,
        ifNull(rows.delivered_at, toDateTime64(0, 3, 'UTC')) AS delivered_at
    FROM
    (
    -- IF long_ago --
    -- from_delivered.sql --
    -- ELSE --
    -- worked_on.sql --
    -- END --
    ) AS rows
    WHERE facility != ''
) AS journeys
LEFT JOIN (SELECT code, name, zone FROM facilities FINAL) AS places ON places.code = journeys.facility
GROUP BY facility
ORDER BY critical DESC, delayed DESC, in_trouble DESC, facility
LIMIT {limit:UInt32}
