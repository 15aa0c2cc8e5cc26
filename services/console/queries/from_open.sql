-- What somebody works on: not ended, or something is still wrong.
SELECT * FROM open_journeys FINAL
