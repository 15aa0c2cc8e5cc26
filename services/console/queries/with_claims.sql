    -- few have any: those of which some version had one are found by the sizes of arrays alone, and FINAL reads only these
    SELECT consignment, claims
    FROM journeys FINAL
    PREWHERE consignment IN (SELECT consignment FROM journeys WHERE notEmpty(claims))
