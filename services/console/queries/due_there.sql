-- What these actual {events} of {senders} may be about, where no reference tells: open consignments of which no unit is known yet, on
-- which the sender has standing, and of which the same step is due at the same place within {within_h} hours. Four of an event:
-- whoever asks sees that there are too many.
SELECT
    event,
    consignment,
    milestone,
    place,
    abs(dateDiff('second', due, occurred_at)) / 3600 AS apart_h
FROM
(
    SELECT
        event_id AS event,
        sender,
        toString(milestone) AS milestone,
        toString(if(place_facility = '', place_unlocode, place_facility)) AS place,
        occurred_at
    FROM shipment_events
    WHERE kind = 'event' AND sender IN ({senders:Array(String)}) AND event_id IN ({events:Array(String)})
        AND classifier = 'actual' AND milestone != '' AND NOT retracted
    ORDER BY revision_at DESC, revision_reader DESC, revision_content DESC
    LIMIT 1 BY event_id
) AS told
INNER JOIN
(
    SELECT
        consignment,
        arrayJoin(arrayDistinct(arrayConcat([toString(carrier), toString(terminal)], parties.code))) AS party,
        step.milestone AS due_step,
        assumeNotNull(coalesce(step.estimated, step.planned)) AS due,
        multiIf(
            step.milestone IN ('booked', 'received', 'departed'), [toString(origin)],
            step.milestone IN ('arrived_consignee', 'delivered'), [toString(facility)],
            [toString(port), toString(terminal)]
        ) AS places
    FROM
    (
        SELECT *
        FROM open_journeys FINAL
        WHERE empty(units) AND stage NOT IN ('delivered', 'cancelled')
    )
    ARRAY JOIN milestones AS step
    WHERE step.leg = '' AND step.actual IS NULL AND coalesce(step.estimated, step.planned) IS NOT NULL
) AS journeys ON journeys.party = told.sender AND journeys.due_step = told.milestone
WHERE has(places, place) AND abs(dateDiff('second', due, occurred_at)) <= {within_h:UInt32} * 3600
ORDER BY event, apart_h, consignment
LIMIT 4 BY event
