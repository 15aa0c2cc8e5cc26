-- All that is known of one consignment, newest version, as the tracker wrote it.
SELECT record
FROM journeys FINAL
PREWHERE consignment = {consignment:String}
