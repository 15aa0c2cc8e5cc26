-- What somebody works on and somebody took care of, or put off.
SELECT *
FROM open_journeys FINAL
PREWHERE consignment IN (SELECT consignment FROM work_acts WHERE act IN ('acknowledge', 'snooze'))
