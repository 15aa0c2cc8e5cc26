    notEmpty(named) AND arrayAll(
        w -> arrayExists(a -> has(a.1, w.1) AND a.2 >= w.2, acknowledgements), named
    ) AS acknowledged,
    arrayMin(
        w -> ifNull(
            arrayReverseSort(s -> s.2, arrayFilter(s -> has(s.1, w.1) AND s.2 >= w.2, snoozes))[1].3,
            toDateTime64(0, 3, 'UTC')
        ),
        named
    ) AS snoozed
