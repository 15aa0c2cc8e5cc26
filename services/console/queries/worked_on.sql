SELECT
    -- shown.sql --,
    wrong,
    exceptions,
    false AS found
FROM open_journeys FINAL
