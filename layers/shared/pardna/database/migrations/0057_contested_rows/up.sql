-- Large files: of rows in different parts that contradict each other the first in the file counts.
-- {transaction id: [side, kind, currency]} of each identity of which a file says different things.
ALTER TABLE platform.bulk_deliveries
    ADD COLUMN standing jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(standing) = 'object');
