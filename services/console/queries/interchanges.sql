-- Interchanges whose control number their sender used before: X12 (ISA13, of the sender ISA06) and EDIFACT (UNB 0020, of S002).
-- Harmless (the same statement has the same event id), but a sender that repeats itself wants to know. The first interchange of
-- each record is looked at, compressed bodies are not. `contents` 1: the same bytes each time. Separators become \x01, because
-- to split by what a row says is not to be had.
WITH
    substring(payload, 1, 600) AS head,
    position(head, 'ISA') AS isa,
    substring(head, isa + 3, 1) AS isa_separator,
    splitByChar('\x01', replaceAll(substring(head, isa), isa_separator, '\x01')) AS isa_elements,
    startsWith(trimLeft(head), 'UNA') AS has_una,
    if(has_una, substring(trimLeft(head), 4, 1), ':') AS una_component,
    if(has_una, substring(trimLeft(head), 5, 1), '+') AS una_separator,
    if(has_una, substring(trimLeft(head), 9, 1), '''') AS una_terminator,
    position(head, concat('UNB', una_separator)) AS unb,
    splitByChar('\x02', replaceAll(substring(head, unb), una_terminator, '\x02'))[1] AS unb_segment,
    splitByChar('\x01', replaceAll(unb_segment, una_separator, '\x01')) AS unb_elements,
    isa > 0 AND isa <= 20 AND length(isa_elements) >= 16 AS is_x12,
    unb > 0 AND unb <= 40 AND length(unb_elements) >= 6 AS is_edifact
SELECT
    sender,
    if(is_x12, 'x12', 'edifact') AS standard,
    toValidUTF8(trimBoth(if(is_x12, isa_elements[7], splitByChar('\x01', replaceAll(unb_elements[3], una_component, '\x01'))[1]))) AS named,
    toValidUTF8(trimBoth(if(is_x12, isa_elements[14], splitByChar('\x01', replaceAll(unb_elements[6], una_component, '\x01'))[1]))) AS control,
    count() AS times,
    uniqExact(sha256) AS contents,
    min(k_time) AS first_at,
    max(k_time) AS last_at,
    argMax(k_partition, k_time) AS last_partition,
    argMax(k_offset, k_time) AS last_offset
FROM raw_messages
WHERE kind = 'message'
    AND content_encoding = 'identity'
    AND k_time >= {since:DateTime64(3, 'UTC')}
    AND ({sender:String} = '' OR sender = {sender:String})
    AND (is_x12 OR is_edifact)
GROUP BY sender, standard, named, control
HAVING times > 1 AND control != ''
ORDER BY last_at DESC, sender, control, standard, named
LIMIT {limit:UInt64}
