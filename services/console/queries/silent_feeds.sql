-- Feeds that are silent now, the longest first.
SELECT
    feeds.sender AS sender,
    registered.name AS name,
    if(registered.kind = '', feeds.sender_kind, registered.kind) AS kind,
    feeds.last_event_at AS last_event_at,
    assumeNotNull(feeds.silent_since) AS silent_since,
    feeds.sentence AS sentence
FROM (SELECT * FROM feeds FINAL WHERE silent_since IS NOT NULL) AS feeds
LEFT JOIN (SELECT code, name, kind FROM senders FINAL) AS registered ON registered.code = feeds.sender
ORDER BY silent_since, sender
