    -- Of what somebody works on, that of which all that is wrong (of {kinds}) is taken care of, or waits; {work}: which of the two, to_do:
    -- either. Only what somebody took care of or put off is looked at.
    WITH
    -- held.sql --
    SELECT consignment
    FROM
    (
        SELECT
            consignment,
            -- each part read by itself: the sentences stand beside
            arrayFilter(
                (w, kind) -> empty({kinds:Array(String)}) OR has({kinds:Array(String)}, kind),
                arrayZip(exceptions.key, exceptions.start),
                exceptions.kind
            ) AS named
        FROM open_journeys FINAL
        PREWHERE consignment IN (SELECT consignment FROM work_acts WHERE act IN ('acknowledge', 'snooze'))
    ) AS rows
    INNER JOIN
    (
    -- work.sql --
    ) AS work ON work.of = rows.consignment
    WHERE if({work:String} = 'acknowledged', acknowledged,
        ifNull(snoozed, toDateTime64(0, 3, 'UTC')) > {now:DateTime64(3, 'UTC')} OR ({work:String} = 'to_do' AND acknowledged))
