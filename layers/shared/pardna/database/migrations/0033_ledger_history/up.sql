-- Balances as of any moment, and statements, that stay fast however many entries there are.
--
-- A snapshot holds an account's totals at the end of a UTC day by *recorded* time. What was recorded
-- by then cannot change, so snapshots are immutable. As of an *effective* moment, the snapshot is
-- corrected by the entries whose effective day is not the day they were recorded on, which have an
-- index of their own.

-- Until when every posting has ended: a snapshot of a day may only be taken once that is behind it.
CREATE TABLE ledger.drains (
    tenant_id      text        NOT NULL PRIMARY KEY,
    drained_until  timestamptz NOT NULL
);

-- One row per account and day on which it moved.
CREATE TABLE ledger.snapshots (
    tenant_id      text   NOT NULL,
    account_id     bigint NOT NULL,
    day            date   NOT NULL,
    debits_minor   bigint NOT NULL,
    credits_minor  bigint NOT NULL,
    entries        bigint NOT NULL,
    PRIMARY KEY (tenant_id, account_id, day)
);

-- The last day that was taken, also when nothing moved on it.
CREATE TABLE ledger.snapshot_days (
    tenant_id      text        NOT NULL,
    day            date        NOT NULL,
    taken_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, day)
);

SELECT app.protect(t::regclass)
FROM unnest(ARRAY['ledger.drains', 'ledger.snapshots', 'ledger.snapshot_days']) t;
SELECT app.make_append_only(t::regclass)
FROM unnest(ARRAY['ledger.snapshots', 'ledger.snapshot_days']) t;
GRANT SELECT ON ledger.drains, ledger.snapshots, ledger.snapshot_days TO pardna_runtime;

-- Wait until no posting is under way, in a transaction of its own; later ones have later times.
CREATE FUNCTION ledger.drain() RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    moment timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('ledger.post:' || app.tenant(), 0));
    moment := clock_timestamp();
    INSERT INTO ledger.drains AS d (tenant_id, drained_until) VALUES (app.tenant(), moment)
    ON CONFLICT (tenant_id) DO UPDATE SET drained_until = greatest(d.drained_until, moment);
    RETURN moment;
END
$$;

-- Take the snapshot of a day that is over and drained, on top of the one before; again changes nothing.
-- Returns how many accounts moved. Cost: the entries since the snapshot before.
CREATE FUNCTION ledger.take_snapshot(snapshot_day date) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    me       CONSTANT text := app.tenant();
    day_end  CONSTANT timestamptz := (snapshot_day + 1)::timestamp AT TIME ZONE 'UTC';
    previous date;
    moved    bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('ledger.snapshot:' || me, 0));
    IF NOT EXISTS (SELECT FROM ledger.drains d WHERE d.tenant_id = me AND d.drained_until >= day_end) THEN
        RAISE EXCEPTION 'postings of % may still be under way; drain first', snapshot_day
            USING errcode = 'object_not_in_prerequisite_state';
    END IF;
    SELECT max(s.day) INTO previous FROM ledger.snapshot_days s WHERE s.tenant_id = me;
    IF previous >= snapshot_day THEN
        RETURN 0;
    END IF;
    INSERT INTO ledger.snapshot_days (tenant_id, day) VALUES (me, snapshot_day);
    INSERT INTO ledger.snapshots (tenant_id, account_id, day, debits_minor, credits_minor, entries)
    SELECT me, e.account_id, snapshot_day, e.debits + coalesce(s.debits_minor, 0),
           e.credits + coalesce(s.credits_minor, 0), e.entries + coalesce(s.entries, 0)
    FROM (
        SELECT x.account_id, count(*) AS entries,
               coalesce(sum(x.amount_minor) FILTER (WHERE x.amount_minor > 0), 0)::bigint AS debits,
               coalesce(-sum(x.amount_minor) FILTER (WHERE x.amount_minor < 0), 0)::bigint AS credits
        FROM ledger.entries x
        WHERE x.tenant_id = me AND x.journal_id < ledger.uuid7_floor(day_end)
          AND x.journal_id >= coalesce(ledger.uuid7_floor((previous + 1)::timestamp AT TIME ZONE 'UTC'),
                                       '00000000-0000-0000-0000-000000000000')
        GROUP BY x.account_id
    ) e
    LEFT JOIN LATERAL (
        SELECT * FROM ledger.snapshots p WHERE p.tenant_id = me AND p.account_id = e.account_id
        ORDER BY p.day DESC LIMIT 1) s ON true;
    GET DIAGNOSTICS moved = ROW_COUNT;
    RETURN moved;
END
$$;

-- An account's total (debit positive) over entries whose journal id is below `bound`: the latest
-- snapshot that ends before it, and what came after.
CREATE FUNCTION ledger.total_below(account bigint, bound uuid) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    me    CONSTANT text := app.tenant();
    base  bigint := 0;
    since uuid := '00000000-0000-0000-0000-000000000000';
    taken date;
    rest  bigint;
BEGIN
    SELECT s.day INTO taken FROM ledger.snapshot_days s
    WHERE s.tenant_id = me AND ledger.uuid7_floor((s.day + 1)::timestamp AT TIME ZONE 'UTC') <= bound
    ORDER BY s.day DESC LIMIT 1;
    IF taken IS NOT NULL THEN
        since := ledger.uuid7_floor((taken + 1)::timestamp AT TIME ZONE 'UTC');
        SELECT s.debits_minor - s.credits_minor INTO base FROM ledger.snapshots s
        WHERE s.tenant_id = me AND s.account_id = account AND s.day <= taken
        ORDER BY s.day DESC LIMIT 1;
    END IF;
    SELECT sum(e.amount_minor)::bigint INTO rest FROM ledger.entries e
    WHERE e.tenant_id = me AND e.account_id = account AND e.journal_id >= since AND e.journal_id < bound;
    RETURN coalesce(base, 0) + coalesce(rest, 0);
END
$$;

-- Balance (debit positive) by what was recorded before `moment`.
CREATE FUNCTION ledger.balance_recorded(account_code text, account_currency text, moment timestamptz)
RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT ledger.total_below(a.account_id, ledger.uuid7_floor(moment)) FROM ledger.accounts a
    WHERE a.tenant_id = app.tenant() AND a.code = account_code AND a.currency = account_currency
$$;

-- Balance (debit positive) by what took effect before `moment`, as it is known now.
CREATE FUNCTION ledger.balance_effective(account_code text, account_currency text, moment timestamptz)
RETURNS bigint LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    me       CONSTANT text := app.tenant();
    on_day   CONSTANT date := (moment AT TIME ZONE 'UTC')::date;
    day_from CONSTANT uuid := ledger.uuid7_floor(on_day::timestamp AT TIME ZONE 'UTC');
    day_to   CONSTANT uuid := ledger.uuid7_floor((on_day + 1)::timestamp AT TIME ZONE 'UTC');
    account  bigint;
BEGIN
    SELECT a.account_id INTO account FROM ledger.accounts a
    WHERE a.tenant_id = me AND a.code = account_code AND a.currency = account_currency;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    RETURN ledger.total_below(account, day_from)
        - coalesce((SELECT sum(e.amount_minor) FROM ledger.entries e  -- recorded before, effective later
            WHERE e.tenant_id = me AND e.account_id = account AND e.effective_day >= on_day
              AND e.journal_id < day_from), 0)
        + coalesce((SELECT sum(e.amount_minor) FROM ledger.entries e  -- recorded later, effective before
            WHERE e.tenant_id = me AND e.account_id = account AND e.effective_day < on_day
              AND e.journal_id >= day_from), 0)
        + coalesce((SELECT sum(e.amount_minor) FROM ledger.entries e  -- effective on the day itself
            JOIN ledger.journals j ON j.tenant_id = e.tenant_id AND j.journal_id = e.journal_id
            WHERE e.tenant_id = me AND e.account_id = account AND j.effective_at < moment
              AND e.effective_day = on_day), 0)
        + coalesce((SELECT sum(e.amount_minor) FROM ledger.entries e
            JOIN ledger.journals j ON j.tenant_id = e.tenant_id AND j.journal_id = e.journal_id
            WHERE e.tenant_id = me AND e.account_id = account AND j.effective_at < moment
              AND e.effective_day IS NULL AND e.journal_id >= day_from AND e.journal_id < day_to), 0);
END
$$;

-- A page of an account's statement, oldest first, with the balance (debit positive) after each line.
-- The cursor is the (journal_id, line) of the last line seen; null starts at the beginning.
-- Ids are made before their transaction commits, so everything from the oldest transaction still
-- under way on is held back: a page that was read never gains a line.
CREATE FUNCTION ledger.statement(account_code text, account_currency text,
    after_journal uuid, after_line smallint, page_size integer)
RETURNS TABLE (journal_id uuid, line smallint, amount_minor bigint, balance_minor bigint, key text,
    kind text, description text, effective_at timestamptz, recorded_at timestamptz, item text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    me       CONSTANT text := app.tenant();
    start    CONSTANT uuid := coalesce(after_journal, '00000000-0000-0000-0000-000000000000');
    account  bigint;
    opening  bigint := 0;
BEGIN
    SELECT a.account_id INTO account FROM ledger.accounts a
    WHERE a.tenant_id = me AND a.code = account_code AND a.currency = account_currency;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF after_journal IS NOT NULL THEN
        opening := ledger.total_below(account, after_journal) + coalesce((
            SELECT sum(e.amount_minor) FROM ledger.entries e
            WHERE e.tenant_id = me AND e.account_id = account AND e.journal_id = after_journal
              AND e.line <= after_line), 0);
    END IF;
    RETURN QUERY
    WITH page AS (
        SELECT e.journal_id, e.line, e.amount_minor, e.item, j.key, j.kind, j.description,
               j.effective_at, j.recorded_at,
               bool_and(j.xid < pg_snapshot_xmin(pg_current_snapshot()))
                   OVER (ORDER BY e.journal_id, e.line) AS settled
        FROM (
            SELECT x.* FROM ledger.entries x
            WHERE x.tenant_id = me AND x.account_id = account AND x.journal_id >= start
              AND (x.journal_id > start OR x.line > coalesce(after_line, 0))
            ORDER BY x.journal_id, x.line LIMIT least(greatest(page_size, 1), 1000)
        ) e
        CROSS JOIN LATERAL (SELECT * FROM ledger.journals x
            WHERE x.tenant_id = me AND x.journal_id = e.journal_id LIMIT 1) j
    )
    SELECT p.journal_id, p.line, p.amount_minor,
           (opening + sum(p.amount_minor) OVER (ORDER BY p.journal_id, p.line))::bigint,
           p.key, p.kind, p.description, p.effective_at, p.recorded_at, p.item
    FROM page p WHERE p.settled ORDER BY p.journal_id, p.line;
END
$$;

REVOKE ALL ON FUNCTION ledger.drain, ledger.take_snapshot, ledger.total_below,
    ledger.balance_recorded, ledger.balance_effective, ledger.statement FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.drain, ledger.take_snapshot, ledger.balance_recorded,
    ledger.balance_effective, ledger.statement TO pardna_runtime;
