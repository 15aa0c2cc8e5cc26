-- What somebody works on that has {bare} in its id or in a reference, is on a vessel, or for a hospital, with {text} in its name.
-- worked_on.sql --
WHERE ({bare:String} != '' AND position(names, {bare:String}) > 0)
    OR positionCaseInsensitiveUTF8(vessel, {text:String}) > 0
    OR facility IN (SELECT code FROM facilities FINAL WHERE positionCaseInsensitiveUTF8(name, {text:String}) > 0)
