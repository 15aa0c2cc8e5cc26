-- Consignments by their id or by any reference of theirs, letters and digits alone compared.
WITH arrayFilter(r -> replaceRegexpAll(upper(r.value), '[^A-Z0-9]', '') = {text:String}, references) AS hits
SELECT
    consignment,
    stage,
    milestone,
    facility,
    expected_delivery,
    expected_basis,
    open_kinds AS wrong,
    if(notEmpty(hits), hits[1].kind, 'consignment') AS by_kind,
    if(notEmpty(hits), hits[1].value, consignment) AS by_value,
    if(notEmpty(hits), hits[1].how, 'declared') AS how
FROM journeys FINAL
PREWHERE consignment IN (SELECT consignment FROM journey_finds WHERE kind = 'name' AND word = {text:String})
WHERE (notEmpty(hits) OR replaceRegexpAll(upper(consignment), '[^A-Z0-9]', '') = {text:String})
ORDER BY consignment
LIMIT {limit:UInt32}
