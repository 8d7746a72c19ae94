-- Balances as of an effective time at the cost of one day's lines and one row a day, whatever was posted
-- late or ahead; statements at the cost of their page. Both add up from indexes alone (migration 0047) and
-- go to the journals only for what a page shows of them.

-- The UTC day in an id.
CREATE FUNCTION ledger.uuid7_day(id uuid) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (timestamp '1970-01-01' + interval '1 millisecond'
            * ('x0000' || left(replace(id::text, '-', ''), 12))::bit(64)::bigint)::date
$$;

-- What entries in snapshots move to another day than the one they were recorded on: an amount is added on
-- the day it takes effect and taken off on the day it was recorded. The sum before a day is the difference
-- between what took effect by then and what was recorded by then. Entries after the last snapshot are not
-- in here. One row a day and account at most, so old days cost days, not entries.
CREATE TABLE ledger.shifts (
    tenant_id      text   NOT NULL,
    account_id     bigint NOT NULL,
    day            date   NOT NULL,
    amount_minor   bigint NOT NULL,
    PRIMARY KEY (tenant_id, account_id, day) INCLUDE (amount_minor)
);

ALTER TABLE ledger.entries NO FORCE ROW LEVEL SECURITY;
ALTER TABLE ledger.carried_days NO FORCE ROW LEVEL SECURITY;
ALTER TABLE ledger.snapshot_days NO FORCE ROW LEVEL SECURITY;
INSERT INTO ledger.shifts (tenant_id, account_id, day, amount_minor)
SELECT m.tenant_id, m.account_id, d.day, sum(d.amount_minor)
FROM (
    SELECT e.tenant_id, e.account_id, e.journal_id, e.effective_day, e.amount_minor
    FROM ledger.entries e WHERE e.effective_day IS NOT NULL
    UNION ALL
    SELECT c.tenant_id, c.account_id, c.journal_id, c.effective_day, c.amount_minor
    FROM ledger.carried_days c
) m
JOIN (SELECT tenant_id, max(day) AS taken FROM ledger.snapshot_days GROUP BY tenant_id) s
    ON s.tenant_id = m.tenant_id AND ledger.uuid7_day(m.journal_id) <= s.taken
CROSS JOIN LATERAL (VALUES (m.effective_day, m.amount_minor),
                           (ledger.uuid7_day(m.journal_id), -m.amount_minor)) d (day, amount_minor)
GROUP BY m.tenant_id, m.account_id, d.day HAVING sum(d.amount_minor) <> 0;
ALTER TABLE ledger.entries FORCE ROW LEVEL SECURITY;
ALTER TABLE ledger.carried_days FORCE ROW LEVEL SECURITY;
ALTER TABLE ledger.snapshot_days FORCE ROW LEVEL SECURITY;
SELECT app.protect('ledger.shifts');
GRANT SELECT ON ledger.shifts TO pardna_runtime;

-- As before, and the shifts of what it takes in.
CREATE OR REPLACE FUNCTION ledger.take_snapshot(snapshot_day date) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    me       CONSTANT text := app.tenant();
    day_end  CONSTANT timestamptz := (snapshot_day + 1)::timestamp AT TIME ZONE 'UTC';
    bound    CONSTANT uuid := ledger.uuid7_floor(day_end);
    since    uuid;
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
    since := coalesce(ledger.uuid7_floor((previous + 1)::timestamp AT TIME ZONE 'UTC'),
                      '00000000-0000-0000-0000-000000000000');
    INSERT INTO ledger.snapshot_days (tenant_id, day) VALUES (me, snapshot_day);
    INSERT INTO ledger.snapshots (tenant_id, account_id, day, debits_minor, credits_minor, entries)
    SELECT me, e.account_id, snapshot_day, e.debits + coalesce(s.debits_minor, 0),
           e.credits + coalesce(s.credits_minor, 0), e.entries + coalesce(s.entries, 0)
    FROM (
        SELECT x.account_id, count(*) AS entries,
               coalesce(sum(x.amount_minor) FILTER (WHERE x.amount_minor > 0), 0)::bigint AS debits,
               coalesce(-sum(x.amount_minor) FILTER (WHERE x.amount_minor < 0), 0)::bigint AS credits
        FROM ledger.entries x
        WHERE x.tenant_id = me AND x.journal_id < bound AND x.journal_id >= since
        GROUP BY x.account_id
    ) e
    LEFT JOIN LATERAL (
        SELECT * FROM ledger.snapshots p WHERE p.tenant_id = me AND p.account_id = e.account_id
        ORDER BY p.day DESC LIMIT 1) s ON true;
    GET DIAGNOSTICS moved = ROW_COUNT;
    INSERT INTO ledger.shifts AS s (tenant_id, account_id, day, amount_minor)
    SELECT me, x.account_id, d.day, sum(d.amount_minor)
    FROM ledger.entries x
    CROSS JOIN LATERAL (VALUES (x.effective_day, x.amount_minor),
                               (ledger.uuid7_day(x.journal_id), -x.amount_minor)) d (day, amount_minor)
    WHERE x.tenant_id = me AND x.journal_id < bound AND x.journal_id >= since
      AND x.effective_day IS NOT NULL
    GROUP BY x.account_id, d.day HAVING sum(d.amount_minor) <> 0
    ON CONFLICT (tenant_id, account_id, day) DO UPDATE
    SET amount_minor = s.amount_minor + excluded.amount_minor;
    RETURN moved;
END
$$;

-- Planner settings of what follows: plans are cached per connection, perhaps while tables are still small;
-- every look-up here is a range of an index.

-- As before.
CREATE OR REPLACE FUNCTION ledger.total_below(account bigint, bound uuid) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_indexscan = on
SET plan_cache_mode = force_generic_plan AS $$
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
    PERFORM ledger.refuse_archived(since, bound);
    IF since < bound THEN
        SELECT sum(e.amount_minor)::bigint INTO rest FROM ledger.entries e
        WHERE e.tenant_id = me AND e.account_id = account AND e.journal_id >= since AND e.journal_id < bound;
    END IF;
    RETURN coalesce(base, 0) + coalesce(rest, 0);
END
$$;

-- What lines of an account, recorded from `low` on and before `high`, took effect from `start` on and
-- before `moment`. Lines that do not say when ask their journals.
CREATE FUNCTION ledger.total_effective(account bigint, low uuid, high uuid,
    start timestamptz, moment timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    me     CONSTANT text := app.tenant();
    told   bigint;
    untold bigint;
    silent boolean;
BEGIN
    SELECT sum(e.amount_minor) FILTER (WHERE e.effective_at >= start AND e.effective_at < moment),
           bool_or(e.effective_at IS NULL)
    INTO told, silent
    FROM ledger.entries e
    WHERE e.tenant_id = me AND e.account_id = account AND e.journal_id >= low AND e.journal_id < high;
    IF silent THEN
        SELECT sum(e.amount_minor) INTO untold
        FROM ledger.entries e
        CROSS JOIN LATERAL (SELECT x.effective_at FROM ledger.journals x
            WHERE x.tenant_id = e.tenant_id AND x.journal_id = e.journal_id LIMIT 1) j
        WHERE e.tenant_id = me AND e.account_id = account AND e.journal_id >= low AND e.journal_id < high
          AND e.effective_at IS NULL AND j.effective_at >= start AND j.effective_at < moment;
    END IF;
    RETURN coalesce(told, 0) + coalesce(untold, 0);
END
$$;

-- The same for lines that take effect on `on_day`, another day than they were recorded on, before `high`.
CREATE FUNCTION ledger.total_other_day(account bigint, high uuid, on_day date, moment timestamptz)
RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    me     CONSTANT text := app.tenant();
    told   bigint;
    untold bigint;
    silent boolean;
BEGIN
    SELECT sum(e.amount_minor) FILTER (WHERE e.effective_at < moment), bool_or(e.effective_at IS NULL)
    INTO told, silent
    FROM ledger.entries e
    WHERE e.tenant_id = me AND e.account_id = account AND e.effective_day = on_day AND e.journal_id < high;
    IF silent THEN
        SELECT sum(e.amount_minor) INTO untold
        FROM ledger.entries e
        CROSS JOIN LATERAL (SELECT x.effective_at FROM ledger.journals x
            WHERE x.tenant_id = e.tenant_id AND x.journal_id = e.journal_id LIMIT 1) j
        WHERE e.tenant_id = me AND e.account_id = account AND e.effective_day = on_day
          AND e.journal_id < high AND e.effective_at IS NULL AND j.effective_at < moment;
    END IF;
    RETURN coalesce(told, 0) + coalesce(untold, 0) + coalesce((
        SELECT sum(c.amount_minor) FROM ledger.carried_days c  -- of archived months
        WHERE c.tenant_id = me AND c.account_id = account AND c.effective_day = on_day
          AND c.effective_at < moment AND c.journal_id < high), 0);
END
$$;
CREATE INDEX carried_days_by_day ON ledger.carried_days (tenant_id, account_id, effective_day)
    INCLUDE (amount_minor, effective_at, journal_id);

-- As before. What the last snapshot holds: recorded before the day, shifted between days, and of the day
-- itself what took effect before the moment. What came after the last snapshot: line by line.
CREATE OR REPLACE FUNCTION ledger.balance_effective(account_code text, account_currency text, moment timestamptz)
RETURNS bigint LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    me        CONSTANT text := app.tenant();
    on_day    CONSTANT date := (moment AT TIME ZONE 'UTC')::date;
    day_start CONSTANT timestamptz := on_day::timestamp AT TIME ZONE 'UTC';
    day_from  CONSTANT uuid := ledger.uuid7_floor(day_start);
    day_to    CONSTANT uuid := ledger.uuid7_floor((on_day + 1)::timestamp AT TIME ZONE 'UTC');
    latest    CONSTANT uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
    taken     CONSTANT date := (SELECT max(s.day) FROM ledger.snapshot_days s WHERE s.tenant_id = me);
    since     CONSTANT uuid := coalesce(ledger.uuid7_floor((taken + 1)::timestamp AT TIME ZONE 'UTC'),
                                        '00000000-0000-0000-0000-000000000000');
    account   bigint;
    total     bigint;
BEGIN
    SELECT a.account_id INTO account FROM ledger.accounts a
    WHERE a.tenant_id = me AND a.code = account_code AND a.currency = account_currency;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF moment > day_start THEN  -- part of a day: its journals are looked at
        PERFORM ledger.refuse_archived(day_from, ledger.uuid7_floor(moment));
    END IF;
    total := ledger.total_below(account, least(day_from, since)) + coalesce((
        SELECT sum(s.amount_minor)::bigint FROM ledger.shifts s
        WHERE s.tenant_id = me AND s.account_id = account AND s.day < on_day), 0);
    IF moment > day_start AND day_from < since THEN
        total := total + ledger.total_effective(account, day_from, least(day_to, since), day_start, moment);
    END IF;
    IF moment > day_start THEN
        total := total + ledger.total_other_day(account, since, on_day, moment);
    END IF;
    RETURN total + ledger.total_effective(account, since, latest, '-infinity', moment);
END
$$;

-- What a statement shows of journals, whose ids come in order. Their places are read from the index first
-- and their pages then together, ahead of need: the ids lie as far apart as the account's lines.
CREATE FUNCTION ledger.journals_of(ids uuid[])
RETURNS TABLE (journal_id uuid, key text, kind text, description text, effective_at timestamptz,
    recorded_at timestamptz, xid xid8)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_indexscan = off SET enable_bitmapscan = on
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    me    CONSTANT text := app.tenant();
    first CONSTANT uuid := ids[1];
    last  CONSTANT uuid := ids[cardinality(ids)];
BEGIN
    RETURN QUERY
    SELECT j.journal_id, j.key, j.kind, j.description, j.effective_at, j.recorded_at, j.xid
    FROM ledger.journals j
    WHERE j.tenant_id = me AND j.journal_id = ANY (ids) AND j.journal_id >= first AND j.journal_id <= last;
END
$$;

-- As before.
CREATE OR REPLACE FUNCTION ledger.statement(account_code text, account_currency text,
    after_journal uuid, after_line smallint, page_size integer)
RETURNS TABLE (journal_id uuid, line smallint, amount_minor bigint, balance_minor bigint, key text,
    kind text, description text, effective_at timestamptz, recorded_at timestamptz, item text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    me       CONSTANT text := app.tenant();
    cut      CONSTANT uuid := coalesce(ledger.uuid7_floor(ledger.archived_until()),
                                       '00000000-0000-0000-0000-000000000000');
    start    CONSTANT uuid := coalesce(after_journal, cut);
    account  bigint;
    opening  bigint := 0;
    ids      uuid[];
    lines    smallint[];
    amounts  bigint[];
    items    text[];
BEGIN
    SELECT a.account_id INTO account FROM ledger.accounts a
    WHERE a.tenant_id = me AND a.code = account_code AND a.currency = account_currency;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF after_journal < cut THEN
        PERFORM ledger.refuse_archived(after_journal, cut);
    END IF;
    IF after_journal IS NULL OR after_journal < cut THEN
        opening := ledger.total_below(account, cut);  -- what was archived, carried forward
    ELSE
        opening := ledger.total_below(account, after_journal) + coalesce((
            SELECT sum(e.amount_minor) FROM ledger.entries e
            WHERE e.tenant_id = me AND e.account_id = account AND e.journal_id = after_journal
              AND e.line <= after_line), 0);
    END IF;
    SELECT array_agg(x.journal_id), array_agg(x.line), array_agg(x.amount_minor), array_agg(x.item)
    INTO ids, lines, amounts, items
    FROM (
        SELECT e.journal_id, e.line, e.amount_minor, e.item FROM ledger.entries e
        WHERE e.tenant_id = me AND e.account_id = account AND e.journal_id >= start
          AND (e.journal_id > start OR e.line > coalesce(after_line, 0))
        ORDER BY e.journal_id, e.line LIMIT least(greatest(page_size, 1), 1000)
    ) x;
    RETURN QUERY
    WITH page AS (
        SELECT p.*, j.key, j.kind, j.description, j.effective_at, j.recorded_at,
               bool_and(j.xid < pg_snapshot_xmin(pg_current_snapshot())) OVER (ORDER BY p.place) AS settled
        FROM unnest(ids, lines, amounts, items) WITH ORDINALITY
             AS p (journal_id, line, amount_minor, item, place)
        JOIN ledger.journals_of(ids) j ON j.journal_id = p.journal_id
    )
    SELECT p.journal_id, p.line, p.amount_minor,
           (opening + sum(p.amount_minor) OVER (ORDER BY p.place))::bigint,
           p.key, p.kind, p.description, p.effective_at, p.recorded_at, p.item
    FROM page p WHERE p.settled ORDER BY p.place;
END
$$;

-- Lines that say another time or day than their journal: no row, ever. Looks at everything; for checks only.
CREATE VIEW ledger.misdated WITH (security_invoker = true) AS
SELECT e.tenant_id, e.journal_id, e.line, e.effective_at, e.effective_day
FROM ledger.entries e JOIN ledger.journals j ON j.tenant_id = e.tenant_id AND j.journal_id = e.journal_id
WHERE e.effective_at <> j.effective_at OR e.effective_day IS DISTINCT FROM
      nullif((j.effective_at AT TIME ZONE 'UTC')::date, (j.recorded_at AT TIME ZONE 'UTC')::date);
GRANT SELECT ON ledger.misdated TO pardna_runtime;

REVOKE ALL ON FUNCTION ledger.uuid7_day, ledger.total_effective, ledger.total_other_day,
    ledger.journals_of FROM PUBLIC;
