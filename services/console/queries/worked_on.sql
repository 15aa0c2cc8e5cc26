SELECT
    version,
    -- shown.sql --,
    open_kinds,
    wrong,
    exceptions,
    any_rank, any_hours, any_base, late_rank, late_hours, late_base
FROM open_journeys FINAL
