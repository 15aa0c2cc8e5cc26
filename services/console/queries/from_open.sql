-- What somebody works on: not ended, or something is still wrong.
SELECT *, any_rank, any_hours, any_base, late_rank, late_hours, late_base FROM open_journeys FINAL
