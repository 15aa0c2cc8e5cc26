-- Goes to {hospital}: the facility's code, or a part of its name.
(facility = {hospital:String}
    OR facility IN (SELECT code FROM facilities FINAL WHERE positionCaseInsensitiveUTF8(name, {hospital:String}) > 0))
