    arrayMap(
        e -> (
            indexOf(['minor', 'major', 'critical'], e.severity),
            e.kind,
            if(e.kind IN ('late', 'will_be_late'), e.late_h, NULL),
            multiIf(
                e.kind = 'overdue',
                coalesce(
                    arrayFirst(m -> m.milestone = e.milestone AND m.leg = '', milestones).planned,
                    if(e.milestone = 'delivered', required_by, NULL),
                    e.start
                ),
                e.kind IN ('dwell', 'silent', 'on_hold'),
                e.start,
                NULL
            )
        ),
        arrayFilter(e -> e.status = 'open', exceptions)
    ) AS wrong
