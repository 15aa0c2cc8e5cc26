    -- by the server's clock open_journeys has all that was delivered since the day before yesterday: then none is asked for here
    SELECT consignment
    FROM journey_lines
    WHERE {delivered_since:DateTime64(3, 'UTC')} < today() - 2 AND delivered_at >= {delivered_since:DateTime64(3, 'UTC')}
        -- IF hospital --
        -- a consignment's newest version is among those that are found, if it goes there
        AND
        -- at_hospital.sql --
        -- END --
