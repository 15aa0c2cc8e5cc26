-- What somebody takes care of, by what acts: of these consignments, what was so already when it was said (as delayed.sql has it).
-- An act of {despite} counts although it was undone.
SELECT consignment, key, groupUniqArray(act_id) AS acts
FROM (
    SELECT consignment, exception.key AS key, exception.start AS start
    FROM journeys FINAL
    ARRAY JOIN exceptions AS exception
    WHERE consignment IN {consignments:Array(String)}
) AS wrong
INNER JOIN (
    SELECT consignment, arrayJoin(exceptions) AS key, at, act_id
    FROM work_acts
    WHERE act = 'acknowledge' AND consignment IN {consignments:Array(String)}
        AND (
            act_id IN {despite:Array(String)}
            OR (consignment, act_id) NOT IN (
                SELECT consignment, undoes FROM work_acts WHERE act = 'undo' AND consignment IN {consignments:Array(String)}
            )
        )
) AS said USING (consignment, key)
WHERE said.at >= wrong.start
GROUP BY consignment, key
ORDER BY consignment, key
