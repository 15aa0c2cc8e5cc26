-- What a notification is about, and why one was not sent, as columns: "what did we tell the hospital, and when" must not read
-- every record. MATERIALIZED: computed from `record`, in rows of before too, so that nobody who inserts needs to know of them.
ALTER TABLE notifications
    ADD COLUMN IF NOT EXISTS consignments Array(String)
        MATERIALIZED arrayDistinct(arrayMap(item -> JSONExtractString(item, 'consignment'), JSONExtractArrayRaw(record, 'items'))),
    ADD COLUMN IF NOT EXISTS facilities Array(LowCardinality(String))
        MATERIALIZED arrayDistinct(arrayFilter(
            code -> code != '', arrayMap(item -> JSONExtractString(item, 'facility'), JSONExtractArrayRaw(record, 'items'))
        )),
    ADD COLUMN IF NOT EXISTS purpose LowCardinality(String) MATERIALIZED JSONExtractString(record, 'purpose'),
    ADD COLUMN IF NOT EXISTS severity LowCardinality(String) MATERIALIZED JSONExtractString(record, 'severity'),
    ADD INDEX IF NOT EXISTS by_consignment consignments TYPE bloom_filter(0.01) GRANULARITY 1;

ALTER TABLE deliveries
    ADD COLUMN IF NOT EXISTS channel LowCardinality(String) MATERIALIZED JSONExtractString(record, 'channel'),
    ADD COLUMN IF NOT EXISTS reason LowCardinality(String) MATERIALIZED JSONExtractString(record, 'reason');
