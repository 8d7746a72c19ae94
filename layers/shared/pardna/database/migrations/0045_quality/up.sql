-- Quality: what earlier deliveries were like, and what people decide about rows that were put aside.

-- One row a delivery that was read; compared with later ones of its source.
CREATE TABLE platform.delivery_facts (
    tenant_id text NOT NULL,
    source_id text NOT NULL,
    raw_sha256 text NOT NULL CHECK (raw_sha256 ~ '^[0-9a-f]{64}$'),
    received_at timestamptz NOT NULL,
    format text NOT NULL,
    facts jsonb NOT NULL,
    PRIMARY KEY (tenant_id, source_id, raw_sha256)
);
CREATE INDEX delivery_facts_time ON platform.delivery_facts (tenant_id, source_id, received_at);
-- The report of a day reads deliveries by the time of their receipt.
CREATE INDEX deliveries_time ON platform.deliveries (tenant_id, received_at);

-- A rejected row gets an id that an address can hold. What became of it only goes forward.
ALTER TABLE platform.quarantine
    ADD COLUMN quarantine_id uuid NOT NULL DEFAULT gen_random_uuid(),
    DROP CONSTRAINT quarantine_status_check,
    ADD CONSTRAINT quarantine_status_check CHECK (status IN
        ('open', 'proposed', 'corrected', 'replayed', 'released', 'discarded', 'dismissed'));
CREATE UNIQUE INDEX quarantine_by_id ON platform.quarantine (tenant_id, quarantine_id);
CREATE INDEX quarantine_list ON platform.quarantine (tenant_id, created_at, quarantine_id);
CREATE INDEX quarantine_open ON platform.quarantine (tenant_id, created_at, quarantine_id)
    WHERE status IN ('open', 'proposed');

CREATE FUNCTION platform.quarantine_forward() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF NEW.status <> OLD.status AND OLD.status NOT IN ('open', 'proposed') THEN
        RAISE EXCEPTION 'what was decided about a quarantined row stays decided'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER quarantine_forward BEFORE UPDATE ON platform.quarantine
    FOR EACH ROW EXECUTE FUNCTION platform.quarantine_forward();

-- What people decided, appended: the original bytes stay as they are, under their hash.
-- `replacements` are changes to single lines, in the order they were made; card numbers are masked.
CREATE TABLE platform.quarantine_decisions (
    tenant_id text NOT NULL,
    decision_id uuid NOT NULL DEFAULT gen_random_uuid(),
    ordinal bigint GENERATED ALWAYS AS IDENTITY,
    raw_sha256 text NOT NULL CHECK (raw_sha256 ~ '^[0-9a-f]{64}$'),
    quarantine_id uuid NOT NULL,
    action text NOT NULL CHECK (action IN ('correct', 'release', 'discard')),
    scope text NOT NULL CHECK (scope IN ('row', 'file')),
    replacements jsonb NOT NULL DEFAULT '[]',
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    -- The same request by the same person again is the same decision.
    request_hash text NOT NULL CHECK (request_hash ~ '^[0-9a-f]{64}$'),
    needs_second boolean NOT NULL,
    proposed_by text NOT NULL DEFAULT app.principal(),
    proposed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    state text NOT NULL CHECK (state IN ('proposed', 'done', 'withdrawn')),
    decided_by text,
    decided_at timestamptz,
    new_count integer NOT NULL DEFAULT 0 CHECK (new_count >= 0),
    changed_count integer NOT NULL DEFAULT 0 CHECK (changed_count >= 0),
    PRIMARY KEY (tenant_id, decision_id),
    FOREIGN KEY (tenant_id, quarantine_id) REFERENCES platform.quarantine (tenant_id, quarantine_id),
    CHECK ((state = 'proposed') = (decided_by IS NULL)),
    -- Four eyes, whoever writes.
    CHECK (NOT (needs_second AND state = 'done') OR decided_by <> proposed_by)
);
CREATE UNIQUE INDEX quarantine_one_proposal ON platform.quarantine_decisions (tenant_id, raw_sha256)
    WHERE state = 'proposed';
CREATE INDEX quarantine_decisions_file
    ON platform.quarantine_decisions (tenant_id, raw_sha256, ordinal);

CREATE FUNCTION platform.decided_once() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.state <> 'proposed' THEN
        RAISE EXCEPTION 'a decision about quarantined rows is made once'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER decided_once BEFORE UPDATE OR DELETE ON platform.quarantine_decisions
    FOR EACH ROW EXECUTE FUNCTION platform.decided_once();

SELECT app.protect(t) FROM unnest(ARRAY[
    'platform.delivery_facts', 'platform.quarantine_decisions']::regclass[]) AS t;
SELECT app.make_append_only('platform.delivery_facts');

GRANT SELECT, INSERT ON platform.delivery_facts, platform.quarantine_decisions TO pardna_runtime;
GRANT UPDATE (state, decided_by, decided_at, new_count, changed_count)
    ON platform.quarantine_decisions TO pardna_runtime;
