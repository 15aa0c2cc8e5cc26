-- What each look at a list reads of all open work, as columns of their own: numbers instead of arrays (docs/decisions/0052).
-- `any_*`: the place of the worst that is wrong, as queries/delayed.sql has it of `wrong`: its rank, and within the rank the greater
-- of `hours` and the time since `base` (seconds since 1970). -1e8 hours, a base of 1e15: there are none. What grows counts for
-- nothing at least, but for overdue. `late_*`: the same of late, overdue and will_be_late alone. `names`: as in journey_lines.
-- MATERIALIZED: computed from the others, in rows of before too, so that nobody who inserts needs to know of them; what is there is
-- written in the background, and right meanwhile. Parts of `wrong` (rank, kind, hours, base) by their number: mutations know no names here.
ALTER TABLE open_journeys
    ADD COLUMN IF NOT EXISTS names String MATERIALIZED arrayStringConcat(arrayDistinct(arrayMap(
        name -> replaceRegexpAll(upper(name), '[^A-Z0-9]', ''), arrayPushFront(arrayMap(r -> r.2, references), consignment)
    )), ' '),
    ADD COLUMN IF NOT EXISTS any_rank UInt8 MATERIALIZED arrayMax(w -> w.1, wrong),
    ADD COLUMN IF NOT EXISTS any_hours Float64 MATERIALIZED arrayMax(
        w -> if(w.1 = any_rank AND (w.4 IS NULL OR w.2 != 'overdue'), ifNull(w.3, 0), -1e8), wrong
    ),
    ADD COLUMN IF NOT EXISTS any_base Int64 MATERIALIZED arrayMin(
        w -> if(w.1 = any_rank AND w.4 IS NOT NULL, intDiv(toUnixTimestamp64Milli(assumeNotNull(w.4)), 1000), 1000000000000000),
        wrong
    ),
    ADD COLUMN IF NOT EXISTS late_rank UInt8 MATERIALIZED arrayMax(w -> if(w.2 IN ('late', 'overdue', 'will_be_late'), w.1, 0), wrong),
    ADD COLUMN IF NOT EXISTS late_hours Float64 MATERIALIZED arrayMax(
        w -> if(
            w.2 IN ('late', 'overdue', 'will_be_late') AND w.1 = late_rank AND (w.4 IS NULL OR w.2 != 'overdue'),
            ifNull(w.3, 0),
            -1e8
        ),
        wrong
    ),
    ADD COLUMN IF NOT EXISTS late_base Int64 MATERIALIZED arrayMin(
        w -> if(
            w.2 IN ('late', 'overdue', 'will_be_late') AND w.1 = late_rank AND w.4 IS NOT NULL,
            intDiv(toUnixTimestamp64Milli(assumeNotNull(w.4)), 1000),
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
