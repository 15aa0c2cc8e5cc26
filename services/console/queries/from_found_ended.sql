-- What has ended that has {bare} in its id or in a reference.
-- ended.sql --
-- IF long --
PREWHERE consignment IN
(
-- named_ever.sql --
)
-- END --
WHERE {bare:String} != '' AND names LIKE concat('%', {bare:String}, '%')
    AND consignment NOT IN
    (
        SELECT consignment
        FROM open_journeys FINAL
        -- IF long --
        PREWHERE consignment IN
        (
        -- named_ever.sql --
        )
        -- END --
    )
