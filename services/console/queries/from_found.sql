-- from_found_open.sql --
UNION ALL
-- from_found_ended.sql --
