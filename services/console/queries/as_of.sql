-- The pipeline's own time: the least of the shards' clocks; null until one has spoken. A clock without any tick is of a shard
-- that is no more.
SELECT min(t) AS as_of
FROM clocks FINAL
