-- What was due, and tried, since a time is found by that time: of each block of rows its first and last. What else would leave whole
-- months out is when a row was written, by the broker's clock, and the pipeline's time may be far ahead of that (a drill).
ALTER TABLE notifications ADD INDEX IF NOT EXISTS by_due due_at TYPE minmax GRANULARITY 1;
ALTER TABLE notifications MATERIALIZE INDEX by_due;
ALTER TABLE deliveries ADD INDEX IF NOT EXISTS by_at at TYPE minmax GRANULARITY 1;
ALTER TABLE deliveries MATERIALIZE INDEX by_at;
