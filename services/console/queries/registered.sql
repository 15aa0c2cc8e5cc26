-- What the registers have that a list can be narrowed by: where goods go to, where they stand, or who sends.
SELECT code, name
-- IF carrier --
FROM senders FINAL
-- ELSE --
FROM facilities FINAL
WHERE kind IN ('terminal', 'airport') =
    -- IF terminal --
    true
    -- ELSE --
    false
    -- END --
-- END --
ORDER BY code
