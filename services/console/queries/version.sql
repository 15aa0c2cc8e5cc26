-- The version of the newest journey; 0: there is none.
SELECT max(version) AS version FROM journeys WHERE consignment = {consignment:String}
