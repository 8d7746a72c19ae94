-- What was begun and has no delivery yet, so that nobody has to list the raw bucket to see it. A row
-- comes before bytes are read, and goes in the transaction that writes their delivery.
CREATE TABLE platform.pending_deliveries (
    tenant_id text NOT NULL,
    raw_sha256 text NOT NULL CHECK (raw_sha256 ~ '^[0-9a-f]{64}$'),
    source_id text NOT NULL,
    channel text NOT NULL,
    name text NOT NULL CHECK (length(name) <= 500),
    received_at timestamptz NOT NULL,
    -- When somebody began last: the sweep leaves alone what is being read, and starts with the oldest.
    tried_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, raw_sha256)
);
CREATE INDEX pending_deliveries_list
    ON platform.pending_deliveries (tenant_id, received_at, raw_sha256);
CREATE INDEX pending_deliveries_tried ON platform.pending_deliveries (tenant_id, tried_at);

-- How far the sweep has looked through a tenant's raw objects; empty: from the beginning.
CREATE TABLE platform.raw_sweeps (
    tenant_id text PRIMARY KEY,
    place text NOT NULL CHECK (length(place) <= 1024)
);

SELECT app.protect(t) FROM unnest(ARRAY[
    'platform.pending_deliveries', 'platform.raw_sweeps']::regclass[]) AS t;
GRANT SELECT, INSERT, DELETE ON platform.pending_deliveries TO pardna_runtime;
GRANT UPDATE (tried_at) ON platform.pending_deliveries TO pardna_runtime;
GRANT SELECT, INSERT ON platform.raw_sweeps TO pardna_runtime;
GRANT UPDATE (place) ON platform.raw_sweeps TO pardna_runtime;

-- Deliveries are looked for by their bytes; `deliveries_list` begins with what this one held.
CREATE INDEX deliveries_by_bytes ON platform.deliveries (tenant_id, raw_sha256);
DROP INDEX platform.deliveries_time;
