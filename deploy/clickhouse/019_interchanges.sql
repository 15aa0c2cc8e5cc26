-- Which interchange a message is, as it says itself: standard, sender's name in the envelope and control number, with \x01 between them;
-- empty where it is none. X12 (ISA06, ISA13) and EDIFACT (UNB S002, 0020). As a column, because "whose number came again" is asked of weeks,
-- and must not unpack every message to split it. The first interchange of each record is looked at, compressed bodies are not. Separators become
-- \x01, because to split by what a row says is not to be had; arrays of one stand for names (what a default computes has none).
-- MATERIALIZED: computed from `payload`, in rows of before too, so that nobody who inserts needs to know of it.
ALTER TABLE raw_messages ADD COLUMN IF NOT EXISTS interchange String
MATERIALIZED if(
    kind != 'message' OR content_encoding != 'identity',
    '',
    arrayMap(
        head -> toValidUTF8(arrayFirst(
            found -> found != '',
            [
                arrayMap(
                    isa -> if(
                        isa = 0 OR isa > 20,
                        '',
                        arrayMap(
                            elements -> if(
                                length(elements) < 16, '', concat('x12\x01', trimBoth(elements[7]), '\x01', trimBoth(elements[14]))
                            ),
                            [splitByChar('\x01', replaceAll(substring(head, isa, 200), substring(head, isa + 3, 1), '\x01'), 17)]
                        )[1]
                    ),
                    [position(head, 'ISA')]
                )[1],
                arrayMap(
                    una -> arrayMap(
                        unb -> if(
                            unb = 0 OR unb > 40,
                            '',
                            arrayMap(
                                elements -> if(
                                    length(elements) < 6,
                                    '',
                                    concat(
                                        'edifact\x01',
                                        trimBoth(splitByChar('\x01', replaceAll(elements[3], una.1, '\x01'))[1]),
                                        '\x01',
                                        trimBoth(splitByChar('\x01', replaceAll(elements[6], una.1, '\x01'))[1])
                                    )
                                ),
                                [splitByChar('\x01', replaceAll(
                                    splitByChar('\x02', replaceAll(substring(head, unb, 300), una.3, '\x02'), 2)[1], una.2, '\x01'
                                ))]
                            )[1]
                        ),
                        [position(head, concat('UNB', una.2))]
                    )[1],
                    [if(
                        startsWith(trimLeft(head), 'UNA'),
                        (substring(trimLeft(head), 4, 1), substring(trimLeft(head), 5, 1), substring(trimLeft(head), 9, 1)),
                        (':', '+', '''')
                    )]
                )[1]
            ]
        )),
        [substring(payload, 1, 340)]
    )[1]
);
ALTER TABLE raw_messages MATERIALIZE COLUMN interchange;
