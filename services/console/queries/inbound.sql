-- What is on its way to the hospitals: goods not yet delivered, by item category, unit and local day of expected arrival.
-- How sure the day is: a sender's estimate, the plan moved by how late it is now, the plan, or only the wish (required_by).
-- What was expected before {now} and has not come is none of these: `passed`.
SELECT
    toDate(formatDateTime(expected_delivery, '%F', if(places.zone = '', 'UTC', places.zone))) AS day,
    category,
    unit,
    sum(left) AS quantity,
    sumIf(left, NOT is_past AND expected_basis = 'estimate') AS by_estimate,
    sumIf(left, NOT is_past AND expected_basis = 'plan_and_slip') AS by_slip,
    sumIf(left, NOT is_past AND expected_basis = 'plan') AS by_plan,
    sumIf(left, NOT is_past AND expected_basis NOT IN ('estimate', 'plan_and_slip', 'plan')) AS by_wish,
    sumIf(left, is_past) AS passed,
    sumIf(left, notEmpty(open_kinds)) AS in_trouble,
    uniqExact(consignment) AS consignments
FROM
(
    SELECT
        *,
        expected_delivery < {now:DateTime64(3, 'UTC')} AS is_past,
        item.category AS category,
        item.unit AS unit,
        item.quantity - least(
            item.quantity, arraySum(arrayMap(d -> if(d.line = item.line, d.good, 0), delivered))
        ) AS left
    FROM
    (
        SELECT *
        FROM open_journeys FINAL
        WHERE stage NOT IN ('delivered', 'cancelled') AND expected_delivery < {until:DateTime64(3, 'UTC')}
            -- IF hospital --
            AND
            -- at_hospital.sql --
            -- END --
    )
    ARRAY JOIN items AS item
) AS journeys
LEFT JOIN (SELECT code, name, zone FROM facilities FINAL) AS places ON places.code = journeys.facility
WHERE left > 0
    AND ({item:String} = '' OR category = {item:String})
GROUP BY day, category, unit
ORDER BY day, category, unit
LIMIT {limit:UInt32}
SETTINGS allow_nonconst_timezone_arguments = 1
