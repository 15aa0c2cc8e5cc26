-- Those of a page, by {ids}, of all that ever were: asked for those alone that nobody works on.
-- ended.sql --
PREWHERE consignment IN ({ids:Array(String)})
