    -- by the server's clock open_journeys has all that was delivered since the day before yesterday: then none is asked for here
    SELECT consignment
    FROM journey_lines
    WHERE {delivered_since:DateTime64(3, 'UTC')} < today() - 2 AND delivered_at >= {delivered_since:DateTime64(3, 'UTC')}
