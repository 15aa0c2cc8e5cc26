-- Those of a page, by {ids}: of what somebody works on.
SELECT *, false AS found FROM open_journeys FINAL PREWHERE consignment IN ({ids:Array(String)})
