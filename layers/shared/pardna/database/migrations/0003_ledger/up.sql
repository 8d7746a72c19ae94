-- The ledger: double entry in integer minor units, append-only, written by ledger.post alone.
--
-- Amounts are signed: a debit is positive, a credit negative. Within a journal the amounts of each
-- currency sum to zero. Ids of journals are UUIDv7 from the database's clock, so that months can be
-- RANGE partitions of the primary key; whatever may happen only once lives in ledger.once, which
-- is not partitioned (a UNIQUE on a partitioned table would have to contain the partition key).
--
-- The runtime role reads the tables through forced row-level security and writes through functions
-- that run as the owner, to whom the same policies apply. It has no privilege on any partition:
-- a partition addressed by its own name would not pass its parent's policies.

CREATE SCHEMA ledger;
GRANT USAGE ON SCHEMA ledger TO pardna_runtime;

-- ---------------------------------------------------------------- identifiers

-- RFC 9562 UUIDv7; the ordinal (0..4095) fills rand_a, so ids of one batch sort in its order.
CREATE FUNCTION ledger.uuid7(at timestamptz, ordinal integer) RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0')
            || '7' || lpad(to_hex(ordinal & 4095), 3, '0')
            || '-' || right(gen_random_uuid()::text, 17))::uuid
$$;

-- The smallest id of a moment: bounds of partitions and of searches by recorded time.
CREATE FUNCTION ledger.uuid7_floor(at timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0')
            || repeat('0', 20))::uuid
$$;

-- ---------------------------------------------------------------- tables

CREATE TABLE ledger.accounts (
    tenant_id      text        NOT NULL,
    account_id     bigint      GENERATED ALWAYS AS IDENTITY,
    code           text        NOT NULL CHECK (code ~ '^[!-~]{1,200}$'),
    currency       text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    type           text        NOT NULL
                   CHECK (type IN ('asset', 'liability', 'income', 'expense', 'equity')),
    normal_side    text        NOT NULL CHECK (normal_side IN ('debit', 'credit')),
    minimum_minor  bigint,     -- lowest balance on the normal side; null means no limit
    shards         smallint    NOT NULL DEFAULT 1 CHECK (shards BETWEEN 1 AND 64),
    parent         text        CHECK (parent ~ '^[!-~]{1,200}$'),
    opened_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, account_id),
    UNIQUE (tenant_id, code, currency),
    -- A minimum is decided under one row's lock, so such an account cannot be split.
    CHECK (minimum_minor IS NULL OR shards = 1)
);

-- One row per account, or several for a hot account whose writers would queue on one row.
CREATE TABLE ledger.balances (
    tenant_id      text     NOT NULL,
    account_id     bigint   NOT NULL,
    shard          smallint NOT NULL DEFAULT 0,
    debits_minor   bigint   NOT NULL DEFAULT 0 CHECK (debits_minor >= 0),
    credits_minor  bigint   NOT NULL DEFAULT 0 CHECK (credits_minor >= 0),
    entries        bigint   NOT NULL DEFAULT 0,
    -- What holds reserve; counted on shard 0, against the account's minimum.
    held_debits_minor  bigint NOT NULL DEFAULT 0 CHECK (held_debits_minor >= 0),
    held_credits_minor bigint NOT NULL DEFAULT 0 CHECK (held_credits_minor >= 0),
    PRIMARY KEY (tenant_id, account_id, shard)
) WITH (fillfactor = 50);  -- room for HOT updates: no index on what changes

CREATE TABLE ledger.journals (
    tenant_id      text        NOT NULL,
    journal_id     uuid        NOT NULL,
    key            text        NOT NULL,
    kind           text        NOT NULL,
    effective_at   timestamptz NOT NULL,
    original_at    timestamptz,  -- set when a late fact was moved into the open period
    recorded_at    timestamptz NOT NULL,
    line_count     smallint    NOT NULL CHECK (line_count >= 2),
    description    text        NOT NULL DEFAULT '',
    refs           jsonb       NOT NULL DEFAULT '{}',
    metadata       jsonb       NOT NULL DEFAULT '{}',
    reverses       uuid,
    posted_by      text        NOT NULL,
    xid            xid8        NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (tenant_id, journal_id)
) PARTITION BY RANGE (journal_id);

CREATE TABLE ledger.entries (
    tenant_id      text     NOT NULL,
    journal_id     uuid     NOT NULL,
    line           smallint NOT NULL,
    account_id     bigint   NOT NULL,
    amount_minor   bigint   NOT NULL CHECK (amount_minor <> 0),
    currency       text     NOT NULL,
    item           text,    -- on clearing accounts, the transaction whose open amount this moves
    effective_day  date,    -- UTC; null when it is the day of recording, as it mostly is
    PRIMARY KEY (tenant_id, journal_id, line)
) PARTITION BY RANGE (journal_id);
CREATE INDEX entries_by_account ON ledger.entries (tenant_id, account_id, journal_id);
CREATE INDEX entries_other_day ON ledger.entries (tenant_id, account_id, effective_day, journal_id)
    WHERE effective_day IS NOT NULL;

-- What may happen once: a client's key, the reversal of a journal, the end of a hold.
CREATE TABLE ledger.once (
    tenant_id      text  NOT NULL,
    key_digest     bytea NOT NULL,
    journal_id     uuid  NOT NULL,
    request_hash   bytea NOT NULL,
    PRIMARY KEY (tenant_id, key_digest)
);

-- One row each time a period was closed; the latest closed_until governs.
CREATE TABLE ledger.closings (
    tenant_id      text        NOT NULL,
    closed_until   timestamptz NOT NULL,
    closed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_by      text        NOT NULL,
    PRIMARY KEY (tenant_id, closed_until)
);

-- Which transactions are matched, as the matching engine told: written with the clearing journal.
CREATE TABLE ledger.matched_legs (
    tenant_id      text        NOT NULL,
    pair           text        NOT NULL,
    transaction_id text        NOT NULL,
    match_id       text        NOT NULL,
    version        integer     NOT NULL,
    status         text        NOT NULL CHECK (status IN ('committed', 'unmatched')),
    matched_at     timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, pair, transaction_id, match_id)
);
CREATE INDEX matched_legs_by_transaction ON ledger.matched_legs (tenant_id, transaction_id);
CREATE INDEX matched_legs_by_match ON ledger.matched_legs (tenant_id, match_id);

SELECT app.protect(t::regclass)
FROM unnest(ARRAY['ledger.accounts', 'ledger.balances', 'ledger.journals', 'ledger.entries',
                  'ledger.once', 'ledger.closings', 'ledger.matched_legs']) t;
GRANT SELECT ON ledger.accounts, ledger.balances, ledger.journals, ledger.entries,
                ledger.closings, ledger.matched_legs TO pardna_runtime;

-- ---------------------------------------------------------------- guards on every write

-- Fires for each INSERT into entries, whoever wrote it: each journal touched was made by this
-- transaction, has exactly the lines it declares, each in its account's currency, summing to zero.
-- Planner settings and LATERAL ... LIMIT 1: a plan is cached while a month is still small, and must
-- stay one lookup by key for each row.
CREATE FUNCTION ledger.check_entries() RETURNS TRIGGER
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    broken record;
BEGIN
    SELECT e.journal_id, e.currency INTO broken
    FROM new_entries e
    LEFT JOIN LATERAL (
        SELECT x.currency FROM ledger.accounts x
        WHERE x.tenant_id = e.tenant_id AND x.account_id = e.account_id LIMIT 1) a ON true
    WHERE a.currency IS DISTINCT FROM e.currency
    LIMIT 1;
    IF found THEN
        RAISE EXCEPTION 'journal %: a line in % is not in its account''s currency',
            broken.journal_id, broken.currency USING errcode = 'check_violation';
    END IF;

    SELECT s.journal_id, j.xid IS NULL OR j.xid <> pg_current_xact_id() AS foreign_journal
    INTO broken
    FROM (
        SELECT c.tenant_id, c.journal_id, bool_and(c.total = 0) AS balanced,
               sum(c.lines) AS lines, min(c.first) AS first, max(c.last) AS last
        FROM (
            SELECT tenant_id, journal_id, currency, sum(amount_minor) AS total,
                   count(*) AS lines, min(line) AS first, max(line) AS last
            FROM new_entries GROUP BY tenant_id, journal_id, currency
        ) c
        GROUP BY c.tenant_id, c.journal_id
    ) s
    LEFT JOIN LATERAL (
        SELECT x.xid, x.line_count FROM ledger.journals x
        WHERE x.tenant_id = s.tenant_id AND x.journal_id = s.journal_id LIMIT 1) j ON true
    WHERE j.xid IS NULL OR j.xid <> pg_current_xact_id()
       -- All lines 1 to n at once: with the primary key, none can follow later.
       OR s.first <> 1 OR s.last <> j.line_count OR s.lines <> j.line_count OR NOT s.balanced
    LIMIT 1;
    IF found THEN
        RAISE EXCEPTION 'journal %: %', broken.journal_id,
            CASE WHEN broken.foreign_journal THEN 'lines can only be written with their journal'
                 ELSE 'lines do not sum to zero, or are not the declared ones' END
            USING errcode = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;

-- Fires for each INSERT into journals: no journal without lines (what lines, check_entries tells).
CREATE FUNCTION ledger.check_journals() RETURNS TRIGGER
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    empty uuid;
BEGIN
    SELECT j.journal_id INTO empty
    FROM new_journals j
    LEFT JOIN LATERAL (
        SELECT x.line FROM ledger.entries x
        WHERE x.tenant_id = j.tenant_id AND x.journal_id = j.journal_id AND x.line = 1
        LIMIT 1) e ON true
    WHERE e.line IS NULL
    LIMIT 1;
    IF found THEN
        RAISE EXCEPTION 'journal %: has no lines', empty USING errcode = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER check_journals AFTER INSERT ON ledger.journals
    referencing NEW TABLE AS new_journals FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.check_journals();
CREATE TRIGGER check_entries AFTER INSERT ON ledger.entries
    referencing NEW TABLE AS new_entries FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.check_entries();

-- Row triggers are inherited by partitions; TRUNCATE is guarded on each partition by itself.
SELECT app.make_append_only(t::regclass)
FROM unnest(ARRAY['ledger.journals', 'ledger.entries', 'ledger.once', 'ledger.closings']) t;

-- ---------------------------------------------------------------- months

-- Creates the partitions of the given months, if absent, each with the parent's guards (a statement
-- that names a partition fires that partition's triggers only). Returns the names it created.
CREATE FUNCTION ledger.ensure_partitions(first_day date, months integer) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made   text[] := '{}';
    month  timestamptz;
    parent text;
    name   text;
BEGIN
    IF months NOT BETWEEN 1 AND 60 THEN
        RAISE EXCEPTION 'months must be 1 to 60, not %', months USING errcode = '22023';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('ledger.months', 0));
    FOR i IN 0 .. months - 1 LOOP
        month := (date_trunc('month', first_day) + make_interval(months => i)) AT TIME ZONE 'UTC';
        FOREACH parent IN ARRAY ARRAY['journals', 'entries'] LOOP
            name := format('%s_%s', parent, to_char(month AT TIME ZONE 'UTC', 'YYYY_MM'));
            CONTINUE WHEN to_regclass('ledger.' || name) IS NOT NULL;
            EXECUTE format('create table ledger.%I partition of ledger.%I for values from (%L) to (%L)',
                name, parent, ledger.uuid7_floor(month), ledger.uuid7_floor(
                    (month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC'));
            PERFORM app.protect(('ledger.' || name)::regclass);
            EXECUTE format('create trigger check_%1$s after insert on ledger.%2$I '
                'referencing new table as new_%1$s for each statement '
                'execute function ledger.check_%1$s()', parent, name);
            EXECUTE format('create trigger append_only_truncate before truncate on ledger.%I '
                'for each statement execute function app.refuse_change()', name);
            made := made || name;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;
REVOKE ALL ON FUNCTION ledger.ensure_partitions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.ensure_partitions TO pardna_runtime;

SELECT ledger.ensure_partitions((current_date - interval '1 month')::date, 14);
