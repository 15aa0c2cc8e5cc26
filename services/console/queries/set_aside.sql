    -- Of what somebody works on, that of which all that is wrong (of {kinds}) is taken care of, or waits; {work}: which of the two, to_do:
    -- either. Only what somebody took care of or put off is looked at. A row each that is wrong: its newest acknowledgement and snooze
    -- count, if they were said when it was so already (held.sql has the same rule).
    SELECT consignment
    FROM
    (
        SELECT consignment, exceptions.key AS keys, exceptions.start AS starts, exceptions.kind AS open_kind
        FROM open_journeys FINAL
        PREWHERE consignment IN (SELECT consignment FROM work_acts WHERE act IN ('acknowledge', 'snooze'))
    ) AS rows
    ARRAY JOIN keys AS key, starts AS start, open_kind AS kind
    LEFT JOIN
    (
        SELECT
            consignment AS of,
            named,
            maxIf(at, act = 'acknowledge') AS taken_at,
            maxIf(at, act = 'snooze') AS put_off_at,
            argMaxIf(ifNull(until, toDateTime64(0, 3, 'UTC')), at, act = 'snooze') AS waits_until
        FROM work_acts
        ARRAY JOIN exceptions AS named
        WHERE act IN ('acknowledge', 'snooze')
            AND (consignment, act_id) NOT IN (SELECT consignment, undoes FROM work_acts WHERE act = 'undo')
        GROUP BY consignment, named
    ) AS work ON work.of = rows.consignment AND work.named = key
    WHERE empty({kinds:Array(String)}) OR has({kinds:Array(String)}, kind)
    GROUP BY consignment
    HAVING ({work:String} IN ('acknowledged', 'to_do') AND min(taken_at >= start))
        OR ({work:String} IN ('snoozed', 'to_do') AND min(put_off_at >= start AND waits_until > {now:DateTime64(3, 'UTC')}))
