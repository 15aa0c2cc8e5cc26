-- What people did about {ids} that lists tell of.
SELECT consignment, act_id, act, at, by, exceptions, assignee, until, text, undoes
FROM work_acts
WHERE consignment IN ({ids:Array(String)})
