    SELECT
        consignment AS of,
        argMaxIf(assignee, (at, act_id), act = 'assign') AS assigned_to,
        argMaxIf(text, (at, act_id), act = 'note') AS note,
        argMaxIf(by, (at, act_id), act = 'note') AS noted_by,
        groupArrayIf((exceptions, at, by), act = 'acknowledge') AS acknowledgements,
        groupArrayIf((exceptions, at, until), act = 'snooze') AS snoozes
    FROM work_acts
    WHERE act IN ('acknowledge', 'assign', 'snooze', 'note')
        AND (consignment, act_id) NOT IN (SELECT consignment, undoes FROM work_acts WHERE act = 'undo')
    GROUP BY consignment
