-- The pipeline's own time: the least of the shards' clocks; null until they have spoken.
SELECT if(count() = 0 OR countIf(t IS NULL) > 0, NULL, min(t)) AS as_of
FROM clocks FINAL
