        -- Has {bare} in its id or in a reference, by any version that is not merged away; the index of threes knows LIKE, not position().
        SELECT DISTINCT consignment FROM journey_lines WHERE names LIKE concat('%', {bare:String}, '%')
