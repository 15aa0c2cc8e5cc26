-- What each look at a list reads of all open work, as columns of their own: numbers instead of arrays (docs/decisions/0052).
-- `any_*`: the place of the worst that is wrong, as queries/delayed.sql has it of `wrong`: its rank, and within the rank the greater
-- of `hours` and the time since `base` (seconds since 1970). -1e8 hours, a base of 1e15: there are none. What grows counts for
-- nothing at least, but for overdue. `late_*`: the same of late, overdue and will_be_late alone. `names`: as in journey_lines.
-- MATERIALIZED: computed from the others, in rows of before too, so that nobody who inserts needs to know of them; what is there is
-- written in the background, and right meanwhile.
ALTER TABLE open_journeys
    ADD COLUMN IF NOT EXISTS names String MATERIALIZED arrayStringConcat(arrayDistinct(arrayMap(
        name -> replaceRegexpAll(upper(name), '[^A-Z0-9]', ''), arrayPushFront(references.value, consignment)
    )), ' '),
    ADD COLUMN IF NOT EXISTS any_rank UInt8 MATERIALIZED arrayMax(wrong.rank),
    ADD COLUMN IF NOT EXISTS any_hours Float64 MATERIALIZED arrayMax(
        w -> if(w.rank = any_rank AND (w.base IS NULL OR w.kind != 'overdue'), ifNull(w.hours, 0), -1e8), wrong
    ),
    ADD COLUMN IF NOT EXISTS any_base Int64 MATERIALIZED arrayMin(
        w -> if(w.rank = any_rank AND w.base IS NOT NULL, intDiv(toUnixTimestamp64Milli(assumeNotNull(w.base)), 1000), 1000000000000000),
        wrong
    ),
    ADD COLUMN IF NOT EXISTS late_rank UInt8 MATERIALIZED arrayMax(w -> if(w.kind IN ('late', 'overdue', 'will_be_late'), w.rank, 0), wrong),
    ADD COLUMN IF NOT EXISTS late_hours Float64 MATERIALIZED arrayMax(
        w -> if(
            w.kind IN ('late', 'overdue', 'will_be_late') AND w.rank = late_rank AND (w.base IS NULL OR w.kind != 'overdue'),
            ifNull(w.hours, 0),
            -1e8
        ),
        wrong
    ),
    ADD COLUMN IF NOT EXISTS late_base Int64 MATERIALIZED arrayMin(
        w -> if(
            w.kind IN ('late', 'overdue', 'will_be_late') AND w.rank = late_rank AND w.base IS NOT NULL,
            intDiv(toUnixTimestamp64Milli(assumeNotNull(w.base)), 1000),
            1000000000000000
        ),
        wrong
    );

ALTER TABLE open_journeys
    MATERIALIZE COLUMN names,
    MATERIALIZE COLUMN any_rank,
    MATERIALIZE COLUMN any_hours,
    MATERIALIZE COLUMN any_base,
    MATERIALIZE COLUMN late_rank,
    MATERIALIZE COLUMN late_hours,
    MATERIALIZE COLUMN late_base;

-- A text of three letters or digits or more is looked for among a million names by their threes.
ALTER TABLE journey_lines ADD INDEX IF NOT EXISTS by_name names TYPE text(tokenizer = ngrams(3));
ALTER TABLE journey_lines MATERIALIZE INDEX by_name;
