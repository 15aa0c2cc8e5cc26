-- Who said that they take care, and when: one row a record of alert.acknowledgements.v1.
CREATE TABLE IF NOT EXISTS alert_acknowledgements
(
    k_topic LowCardinality(String),
    k_partition UInt32,
    k_offset UInt64,
    k_time DateTime64(3, 'UTC'),
    subscription String,
    notification String,
    code String,
    at DateTime64(3, 'UTC'),
    source LowCardinality(String),
    by String,
    record String CODEC(ZSTD(3)),
    undecodable Bool,
    INDEX by_offset k_offset TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(k_time)
ORDER BY (subscription, at, k_partition, k_offset)
SETTINGS non_replicated_deduplication_window = 100000;

-- Of which notification each is: the one it names, else the newest of its subscription under the code it says.
CREATE VIEW IF NOT EXISTS acknowledged AS
SELECT said.subscription AS subscription, said.at AS at, said.by AS by, said.source AS source, said.code AS code,
    if(said.notification != '', said.notification, coded.notification) AS notification
FROM
(
    SELECT *
    FROM alert_acknowledgements
    WHERE NOT undecodable
) AS said
ASOF LEFT JOIN
(
    SELECT subscription, notification, due_at, JSONExtractString(record, 'code') AS code
    FROM notifications
    WHERE NOT undecodable AND code != ''
) AS coded ON said.subscription = coded.subscription AND said.code = coded.code AND said.at >= coded.due_at;
