-- Webhooks by event: a provider sends an event again until it is answered, perhaps in other words.
--
-- The first delivery of an event that counts takes its name here; later ones of other bytes are
-- duplicates. Two at once: the second waits for the first one's transaction, then sees its row.

CREATE TABLE platform.webhook_events (
    tenant_id text NOT NULL,
    source_id text NOT NULL,
    event_id text NOT NULL CHECK (length(event_id) BETWEEN 1 AND 200),
    raw_sha256 text NOT NULL CHECK (raw_sha256 ~ '^[0-9a-f]{64}$'),
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, source_id, event_id)
);
SELECT app.protect('platform.webhook_events');
SELECT app.make_append_only('platform.webhook_events');
GRANT SELECT, INSERT ON platform.webhook_events TO pardna_runtime;

ALTER TABLE platform.deliveries
    ADD COLUMN event_id text NOT NULL DEFAULT '' CHECK (length(event_id) <= 200);
-- Lists for people: newest first, of one source or one status, page by page.
CREATE INDEX deliveries_list ON platform.deliveries (tenant_id, received_at, raw_sha256, name);
CREATE INDEX deliveries_by_source
    ON platform.deliveries (tenant_id, source_id, received_at, raw_sha256, name);
CREATE INDEX deliveries_by_status
    ON platform.deliveries (tenant_id, status, received_at, raw_sha256, name);

-- Bytes may be normalised again: what could not be read then may be read now. What counted once
-- stays counted, so a delivery never falls back.
GRANT UPDATE (status, format, entries_count, problems, parsed_at) ON platform.deliveries
    TO pardna_runtime;
CREATE FUNCTION platform.delivery_forward() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF OLD.status IN ('accepted', 'accepted_with_warnings')
       AND NEW.status NOT IN ('accepted', 'accepted_with_warnings') THEN
        RAISE EXCEPTION 'a delivery that counted stays counted'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER delivery_forward BEFORE UPDATE ON platform.deliveries
    FOR EACH ROW EXECUTE FUNCTION platform.delivery_forward();
