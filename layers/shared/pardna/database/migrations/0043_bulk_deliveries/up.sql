-- Large deliveries: recorded part by part, and received only when every part is.
--
-- A row here says that a file was read and judged, and waits in the lake in so many parts. Parts are
-- recorded in any order, perhaps twice; the last of them writes the delivery (platform.deliveries).

CREATE TABLE platform.bulk_deliveries (
    tenant_id text NOT NULL,
    raw_sha256 text NOT NULL CHECK (raw_sha256 ~ '^[0-9a-f]{64}$'),
    source_id text NOT NULL,
    channel text NOT NULL,
    name text NOT NULL CHECK (length(name) <= 500),
    received_at timestamptz NOT NULL,
    status text NOT NULL CHECK (status IN ('accepted', 'accepted_with_warnings')),
    format text NOT NULL,
    entries_count integer NOT NULL CHECK (entries_count >= 0),
    problems jsonb NOT NULL,
    refused_groups jsonb NOT NULL,
    parts_count integer NOT NULL CHECK (parts_count >= 1),
    correlation_id text NOT NULL,
    staged_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    PRIMARY KEY (tenant_id, raw_sha256)
);

CREATE TABLE platform.bulk_parts (
    tenant_id text NOT NULL,
    raw_sha256 text NOT NULL,
    part integer NOT NULL CHECK (part >= 1),
    new_count integer NOT NULL CHECK (new_count >= 0),
    changed_count integer NOT NULL CHECK (changed_count >= 0),
    unchanged_count integer NOT NULL CHECK (unchanged_count >= 0),
    refused_count integer NOT NULL CHECK (refused_count >= 0),
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, raw_sha256, part),
    FOREIGN KEY (tenant_id, raw_sha256)
        REFERENCES platform.bulk_deliveries (tenant_id, raw_sha256)
);

SELECT app.protect(t) FROM unnest(ARRAY[
    'platform.bulk_deliveries', 'platform.bulk_parts']::regclass[]) AS t;
SELECT app.make_append_only('platform.bulk_parts');

GRANT SELECT, INSERT ON platform.bulk_deliveries, platform.bulk_parts TO pardna_runtime;
GRANT UPDATE (closed_at) ON platform.bulk_deliveries TO pardna_runtime;
