-- What somebody works on: not ended, or something is still wrong.
SELECT *, false AS found FROM open_journeys FINAL
