-- Events that name the reference; of each its greatest revision. `owned`: some consignment has one of the event's references.
SELECT
    event_id,
    any(sender) AS sender,
    argMax(standard, revision) AS standard,
    argMax(code, revision) AS code,
    argMax(milestone, revision) AS milestone,
    argMax(classifier, revision) AS classifier,
    argMax(occurred_at, revision) AS occurred_at,
    min(received_at) AS received_at,
    any(named.1) AS kind,
    any(named.2) AS value,
    argMax(retracted, revision) AS retracted,
    max(named IN (SELECT reference.kind, reference.value FROM journeys FINAL ARRAY JOIN references AS reference)) AS owned
FROM
(
    SELECT *, (kind, value) AS named, (revision_at, revision_reader, revision_content) AS revision
    FROM event_references FINAL
    WHERE value IN {values:Array(String)}
)
GROUP BY event_id
ORDER BY occurred_at DESC, event_id
LIMIT {limit:UInt32}
