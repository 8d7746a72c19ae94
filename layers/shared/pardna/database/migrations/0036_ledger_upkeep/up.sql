-- What the schedules of the ledger ask: which tenants keep books, how far months reach ahead, which
-- day has no snapshot yet, whether balances are still what their entries add up to.

-- Written with a tenant's first account, so that no tenant with postings is ever left out. The runtime
-- role has no right on it; the policy binds the owner, who answers `all_tenants` with ids only.
CREATE TABLE ledger.tenants (
    tenant_id      text        NOT NULL PRIMARY KEY,
    since          timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE ledger.tenants ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON ledger.tenants TO pardna_owner USING (true) WITH CHECK (true);
SELECT app.make_append_only('ledger.tenants');

CREATE FUNCTION ledger.note_tenants() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO ledger.tenants (tenant_id)
    SELECT DISTINCT n.tenant_id FROM new_accounts n
    WHERE NOT EXISTS (SELECT FROM ledger.tenants t WHERE t.tenant_id = n.tenant_id)
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
CREATE TRIGGER note_tenants AFTER INSERT ON ledger.accounts
    REFERENCING NEW TABLE AS new_accounts FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.note_tenants();

-- Migrations run as a role that row-level security binds: without lifting it, a statement over rows
-- that are there already finds none. Migration 0035 filled open_amounts so; it is made good here.
ALTER TABLE ledger.accounts NO FORCE ROW LEVEL SECURITY;
ALTER TABLE ledger.entries NO FORCE ROW LEVEL SECURITY;
ALTER TABLE ledger.open_amounts NO FORCE ROW LEVEL SECURITY;
INSERT INTO ledger.tenants (tenant_id) SELECT DISTINCT tenant_id FROM ledger.accounts;
DELETE FROM ledger.open_amounts;
INSERT INTO ledger.open_amounts (tenant_id, account_id, item, currency, amount_minor)
SELECT tenant_id, account_id, item, min(currency), sum(amount_minor) FROM ledger.entries
WHERE item IS NOT NULL GROUP BY tenant_id, account_id, item HAVING sum(amount_minor) <> 0;
ALTER TABLE ledger.accounts FORCE ROW LEVEL SECURITY;
ALTER TABLE ledger.entries FORCE ROW LEVEL SECURITY;
ALTER TABLE ledger.open_amounts FORCE ROW LEVEL SECURITY;

-- Ids of all tenants that ever opened an account, and nothing else about them: for schedules, which
-- then enter one after the other.
CREATE FUNCTION ledger.all_tenants() RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT t.tenant_id FROM ledger.tenants t ORDER BY t.tenant_id
$$;

-- Whole months after that of `day` that have their partitions, up to the first that has not.
CREATE FUNCTION ledger.months_ahead(day date) RETURNS integer
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ahead integer := 0;
BEGIN
    WHILE to_regclass('ledger.entries_' || to_char(day + make_interval(months => ahead + 1), 'YYYY_MM')) IS NOT NULL
      AND to_regclass('ledger.journals_' || to_char(day + make_interval(months => ahead + 1), 'YYYY_MM')) IS NOT NULL
    LOOP
        ahead := ahead + 1;
    END LOOP;
    RETURN ahead;
END
$$;

-- The first day without a snapshot; null before the first journal.
CREATE FUNCTION ledger.next_snapshot_day() RETURNS date
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(
        (SELECT max(s.day) + 1 FROM ledger.snapshot_days s WHERE s.tenant_id = app.tenant()),
        (SELECT (j.recorded_at AT TIME ZONE 'UTC')::date FROM ledger.journals j
         WHERE j.tenant_id = app.tenant() ORDER BY j.journal_id LIMIT 1))
$$;

-- Accounts whose balance is not the last snapshot and the entries since. Snapshots are entries added
-- up day by day, so this compares with all entries at the cost of the last ones. Zero, ever.
-- STABLE: all of it reads one moment, also while others post.
CREATE FUNCTION ledger.drifted() RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    me    CONSTANT text := app.tenant();
    taken CONSTANT date := (SELECT max(s.day) FROM ledger.snapshot_days s WHERE s.tenant_id = me);
    since CONSTANT uuid := coalesce(ledger.uuid7_floor((taken + 1)::timestamp AT TIME ZONE 'UTC'),
                                    '00000000-0000-0000-0000-000000000000');
BEGIN
    RETURN (
        WITH added AS (
            SELECT e.account_id, count(*) AS entries,
                   coalesce(sum(e.amount_minor) FILTER (WHERE e.amount_minor > 0), 0) AS debits,
                   coalesce(-sum(e.amount_minor) FILTER (WHERE e.amount_minor < 0), 0) AS credits
            FROM ledger.entries e WHERE e.tenant_id = me AND e.journal_id >= since
            GROUP BY e.account_id
        ), kept AS (
            SELECT b.account_id, sum(b.entries) AS entries, sum(b.debits_minor) AS debits,
                   sum(b.credits_minor) AS credits
            FROM ledger.balances b WHERE b.tenant_id = me GROUP BY b.account_id
        )
        SELECT count(*)
        FROM kept k
        FULL JOIN added a USING (account_id)
        LEFT JOIN LATERAL (SELECT * FROM ledger.snapshots s
            WHERE s.tenant_id = me AND s.account_id = coalesce(k.account_id, a.account_id)
            ORDER BY s.day DESC LIMIT 1) s ON true
        WHERE (k.entries, k.debits, k.credits) IS DISTINCT FROM (
            coalesce(s.entries, 0) + coalesce(a.entries, 0),
            coalesce(s.debits_minor, 0) + coalesce(a.debits, 0),
            coalesce(s.credits_minor, 0) + coalesce(a.credits, 0)));
END
$$;

-- As before, in the order of ledger.post: accounts with a minimum first, then all others, each in id
-- order, so that holds and postings never wait for each other in a circle.
CREATE OR REPLACE FUNCTION ledger.lock_balances(accounts bigint[]) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT FROM (
        SELECT a.account_id FROM ledger.accounts a
        WHERE a.tenant_id = app.tenant() AND a.account_id = ANY (accounts)
        ORDER BY a.minimum_minor IS NULL, a.account_id) t
    CROSS JOIN LATERAL (SELECT FROM ledger.balances b
        WHERE b.tenant_id = app.tenant() AND b.account_id = t.account_id AND b.shard = 0 FOR UPDATE) held
$$;

-- As before, with all locks taken first and in order, and one sweep a tenant: a second returns zero.
CREATE OR REPLACE FUNCTION ledger.expire_holds(most integer DEFAULT 1000) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    due      text[];
    accounts bigint[];
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('ledger.expire:' || app.tenant(), 0)) THEN
        RETURN 0;
    END IF;
    SELECT array_agg(h.key), array_agg(h.debit_id) || array_agg(h.credit_id) INTO due, accounts FROM (
        SELECT x.key, x.debit_id, x.credit_id FROM ledger.open_holds o
        JOIN ledger.holds x ON x.tenant_id = o.tenant_id AND x.hold_id = o.hold_id
        WHERE o.tenant_id = app.tenant() AND o.expires_at <= clock_timestamp()
        ORDER BY o.expires_at LIMIT least(most, 10000)
    ) h;
    PERFORM ledger.lock_balances(accounts);
    RETURN coalesce((SELECT count(*) FROM unnest(due) key  -- not those that were ended meanwhile
                     WHERE ledger.end_hold(key, 'expired') = '{"outcome": "expired"}'), 0);
END
$$;

REVOKE ALL ON FUNCTION ledger.note_tenants, ledger.all_tenants, ledger.months_ahead,
    ledger.next_snapshot_day, ledger.drifted FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.all_tenants, ledger.months_ahead, ledger.next_snapshot_day,
    ledger.drifted TO pardna_runtime;
