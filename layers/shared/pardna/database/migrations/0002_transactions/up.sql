-- Canonical transactions: a head row per identity, and every version that was ever said of it.
--
-- The head is not partitioned: its primary key is the identity, and a UNIQUE on a partitioned
-- table would have to contain the partition key. The versions, which hold the bulk, are
-- partitioned by the month they were recorded in; the head's row lock orders them.

CREATE SCHEMA platform;

CREATE TABLE platform.deliveries (
    tenant_id text NOT NULL,
    source_id text NOT NULL,
    channel text NOT NULL CHECK (channel IN ('webhook', 'poll', 'sftp', 'email', 'upload')),
    name text NOT NULL CHECK (length(name) <= 500),
    raw_sha256 text NOT NULL CHECK (raw_sha256 ~ '^[0-9a-f]{64}$'),
    received_at timestamptz NOT NULL,
    status text NOT NULL CHECK (status IN
        ('accepted', 'accepted_with_warnings', 'quarantined', 'refused', 'duplicate')),
    format text NOT NULL DEFAULT '',
    entries_count integer NOT NULL DEFAULT 0 CHECK (entries_count >= 0),
    problems jsonb NOT NULL DEFAULT '[]',
    parsed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, source_id, raw_sha256, name)
);

CREATE TABLE platform.statements (
    tenant_id text NOT NULL,
    source text NOT NULL,
    statement_id text NOT NULL,
    sequence_number text NOT NULL DEFAULT '',
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    opening_minor bigint,
    closing_minor bigint,
    entries_minor bigint NOT NULL,
    entries_count integer NOT NULL CHECK (entries_count >= 0),
    from_date date,
    to_date date,
    ties boolean NOT NULL,
    raw_sha256 text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, source, statement_id, raw_sha256),
    CHECK (ties = (opening_minor IS NOT NULL AND closing_minor IS NOT NULL
                   AND opening_minor + entries_minor = closing_minor))
);

CREATE TABLE platform.transactions (
    tenant_id text NOT NULL,
    transaction_id uuid NOT NULL,
    source text NOT NULL,
    external_id text NOT NULL,
    version integer NOT NULL CHECK (version >= 1),
    side text NOT NULL CHECK (side IN ('internal', 'psp', 'bank')),
    kind text NOT NULL CHECK (kind IN ('charge', 'refund', 'fee', 'payout', 'dispute',
        'dispute_reversal', 'transfer', 'adjustment', 'contribution', 'draw')),
    amount_minor bigint NOT NULL,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    gross_minor bigint,
    fee_minor bigint,
    net_minor bigint,
    occurred_at timestamptz NOT NULL,
    value_date date,
    batch_id text NOT NULL DEFAULT '',
    content_hash text NOT NULL CHECK (content_hash ~ '^[0-9a-f]{64}$'),
    body jsonb NOT NULL,
    first_recorded_at timestamptz NOT NULL DEFAULT now(),
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, transaction_id),
    UNIQUE (tenant_id, source, external_id),
    CHECK (gross_minor IS NULL OR fee_minor IS NULL OR net_minor IS NULL
           OR gross_minor - fee_minor = net_minor)
);
CREATE INDEX transactions_batch ON platform.transactions (tenant_id, batch_id)
    WHERE batch_id <> '';
CREATE INDEX transactions_day ON platform.transactions (tenant_id, source, occurred_at);

CREATE TABLE platform.transaction_versions (
    tenant_id text NOT NULL,
    transaction_id uuid NOT NULL,
    version integer NOT NULL CHECK (version >= 1),
    content_hash text NOT NULL,
    body jsonb NOT NULL,
    raw_sha256 text NOT NULL,
    raw_position text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, transaction_id, version, recorded_at),
    FOREIGN KEY (tenant_id, transaction_id)
        REFERENCES platform.transactions (tenant_id, transaction_id)
) PARTITION BY RANGE (recorded_at);
CREATE TABLE platform.transaction_versions_rest PARTITION OF platform.transaction_versions DEFAULT;
SELECT app.ensure_months('platform.transaction_versions', now()::date, 6);

CREATE TABLE platform.quarantine (
    tenant_id text NOT NULL,
    raw_sha256 text NOT NULL,
    position text NOT NULL,
    source_id text NOT NULL,
    code text NOT NULL,
    field text NOT NULL DEFAULT '',
    reason text NOT NULL,
    status text NOT NULL DEFAULT 'open'
        CHECK (status IN ('open', 'corrected', 'replayed', 'dismissed')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, raw_sha256, position, code)
);

-- What other stores must know leaves by here, written in the transaction that made it true.
CREATE TABLE platform.outbox (
    tenant_id text NOT NULL,
    event_id text NOT NULL CHECK (event_id ~ '^[0-9a-f]{32}$'),
    event_type text NOT NULL,
    envelope text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    PRIMARY KEY (tenant_id, event_id)
);
CREATE INDEX outbox_unsent ON platform.outbox (tenant_id, created_at) WHERE sent_at IS NULL;

SELECT app.protect(t) FROM unnest(ARRAY[
    'platform.deliveries', 'platform.statements', 'platform.transactions',
    'platform.transaction_versions', 'platform.quarantine', 'platform.outbox']::regclass[]) AS t;
SELECT app.make_append_only('platform.transaction_versions');
SELECT app.make_append_only('platform.statements');

-- An identity and its history are never rewritten, only advanced by one version.
CREATE FUNCTION platform.advance_only() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF (NEW.tenant_id, NEW.transaction_id, NEW.source, NEW.external_id, NEW.side, NEW.currency)
       IS DISTINCT FROM
       (OLD.tenant_id, OLD.transaction_id, OLD.source, OLD.external_id, OLD.side, OLD.currency)
       OR NEW.version <> OLD.version + 1 THEN
        RAISE EXCEPTION 'a transaction advances by one version and keeps its identity'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER advance_only BEFORE UPDATE ON platform.transactions
    FOR EACH ROW EXECUTE FUNCTION platform.advance_only();

GRANT USAGE ON SCHEMA platform TO pardna_runtime;
GRANT SELECT, INSERT ON platform.deliveries, platform.statements, platform.transactions,
    platform.transaction_versions, platform.quarantine, platform.outbox TO pardna_runtime;
GRANT UPDATE (version, kind, amount_minor, gross_minor, fee_minor, net_minor, occurred_at,
    value_date, batch_id, content_hash, body, recorded_at) ON platform.transactions
    TO pardna_runtime;
GRANT UPDATE (status) ON platform.quarantine TO pardna_runtime;
GRANT UPDATE (sent_at) ON platform.outbox TO pardna_runtime;
