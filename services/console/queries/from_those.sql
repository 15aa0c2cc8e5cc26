-- Those of a page, by {ids}: of what somebody works on.
SELECT * FROM open_journeys FINAL PREWHERE consignment IN ({ids:Array(String)})
