-- Events that polling told of. One that no webhook told of is a gap that polling has filled.

CREATE TABLE platform.polled_events (
    tenant_id text NOT NULL,
    source_id text NOT NULL,
    event_id text NOT NULL CHECK (length(event_id) BETWEEN 1 AND 200),
    occurred_at timestamptz NOT NULL,
    -- The document that told of it first.
    raw_sha256 text NOT NULL CHECK (raw_sha256 ~ '^[0-9a-f]{64}$'),
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, source_id, event_id)
);
SELECT app.protect('platform.polled_events');
SELECT app.make_append_only('platform.polled_events');
GRANT SELECT, INSERT ON platform.polled_events TO pardna_runtime;

-- What a source's status asks: the last month's, and the first and last webhook.
CREATE INDEX polled_events_time ON platform.polled_events (tenant_id, source_id, occurred_at);
CREATE INDEX webhook_events_time ON platform.webhook_events (tenant_id, source_id, recorded_at);
