-- Every consignment that ever was.
SELECT
    -- shown.sql --,
    -- wrong.sql --,
    arrayFilter(e -> e.status = 'open', exceptions) AS exceptions,
    false AS found
FROM journeys FINAL
