SELECT
    -- shown.sql --,
    delivered_at,
    [] AS names,
    wrong,
    exceptions,
    false AS found
FROM open_journeys FINAL
