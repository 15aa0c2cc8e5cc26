-- What somebody works on of {ids} (hits.sql), and what of it is on a vessel, or for a hospital, with the text in its name.
-- worked_on.sql --
WHERE consignment IN ({ids:Array(String)})
    OR positionCaseInsensitiveUTF8(vessel, {text:String}) > 0
    OR facility IN (SELECT code FROM facilities FINAL WHERE positionCaseInsensitiveUTF8(name, {text:String}) > 0)
