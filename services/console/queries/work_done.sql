-- What people did about a consignment, the newest first, and who undid it.
SELECT act_id, act, exceptions, at, by, assignee, until, text, undoing.who AS undone_by, undoing.since AS undone_at
FROM work_acts AS acts
LEFT JOIN (
    SELECT undoes, argMin(by, at) AS who, toNullable(min(at)) AS since
    FROM work_acts
    WHERE consignment = {consignment:String} AND act = 'undo'
    GROUP BY undoes
) AS undoing ON undoing.undoes = acts.act_id
WHERE consignment = {consignment:String} AND act != 'undo'
ORDER BY at DESC, act_id
LIMIT 1 BY act_id
LIMIT 500
