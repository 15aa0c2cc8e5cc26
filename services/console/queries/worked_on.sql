SELECT
    -- shown.sql --,
    open_kinds,
    wrong,
    exceptions
FROM open_journeys FINAL
