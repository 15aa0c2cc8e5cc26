-- The register of places, for names and zones.
SELECT code, name, zone, unlocode
FROM facilities FINAL
ORDER BY code
