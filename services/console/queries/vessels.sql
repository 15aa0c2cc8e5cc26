-- Vessels and flights that open consignments are on: how many, what is wrong with them, when they are expected, by whom.
-- `earliest`, `latest`: of the estimates, else plans, of arrival; they differ where senders do. `port`: where all of them leave it.
SELECT
    vessel,
    voyage,
    any(mode) AS mode,
    if(uniqExact(port) = 1, any(port), '') AS port,
    groupUniqArray(5)(toString(carrier)) AS carriers,
    count() AS consignments,
    countIf(notEmpty(open_kinds)) AS in_trouble,
    countIf(hasAny(open_kinds, ['late', 'will_be_late', 'overdue'])) AS delayed,
    uniqExact(facility) AS hospitals,
    minIf(ifNull(arrival.estimated, arrival.planned), isNotNull(ifNull(arrival.estimated, arrival.planned))) AS earliest,
    maxIf(ifNull(arrival.estimated, arrival.planned), isNotNull(ifNull(arrival.estimated, arrival.planned))) AS latest,
    max(arrival.actual) AS arrived,
    maxIf(dateDiff('second', arrival.planned, ifNull(arrival.actual, arrival.estimated)) / 3600, isNotNull(arrival.planned)) AS slip_h
FROM
(
    SELECT *, arrayFirst(m -> m.milestone = 'arrived' AND m.leg = '', milestones) AS arrival
    FROM open_journeys FINAL
    WHERE vessel != '' AND stage NOT IN ('delivered', 'cancelled')
        AND ({vessel:String} = '' OR positionCaseInsensitiveUTF8(vessel, {vessel:String}) > 0)
)
GROUP BY vessel, voyage
ORDER BY delayed DESC, consignments DESC, vessel, voyage
LIMIT {limit:UInt32}
