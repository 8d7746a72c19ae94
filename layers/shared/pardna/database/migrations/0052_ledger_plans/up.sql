-- Plans of what writes and seals, on a ledger of any size. They are made without knowing how few journals a
-- call or a block has, and a range of keys is guessed to be a share of the table: with tens of millions of
-- entries PostgreSQL would take each for a large query, compile it anew in each session and start workers.
ALTER FUNCTION ledger.post_batch(jsonb, boolean) SET jit = off;
ALTER FUNCTION ledger.post_batch(jsonb, boolean) SET max_parallel_workers_per_gather = 0;
ALTER FUNCTION ledger.check_entries() SET jit = off;
ALTER FUNCTION ledger.check_entries() SET max_parallel_workers_per_gather = 0;
ALTER FUNCTION ledger.check_journals() SET jit = off;
ALTER FUNCTION ledger.check_journals() SET max_parallel_workers_per_gather = 0;

-- As in migration 0050, and leaves and lines ask for their order themselves (they come in it: no sorting),
-- since the order is part of what is sealed.
CREATE OR REPLACE FUNCTION ledger.leaves_between(from_xid xid8, to_xid xid8) RETURNS bytea
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
SET jit = off SET max_parallel_workers_per_gather = 0 AS $$
DECLARE
    me      CONSTANT text := app.tenant();
    lowest  uuid;
    highest uuid;
BEGIN
    SELECT i.ids[1], i.ids[cardinality(i.ids)] INTO lowest, highest
    FROM (SELECT array_agg(x.journal_id ORDER BY x.journal_id) AS ids FROM ledger.journals x
          WHERE x.tenant_id = me
            AND x.xid >= leaves_between.from_xid AND x.xid < leaves_between.to_xid) i;
    RETURN (
        SELECT string_agg(sha256('\x00'::bytea || convert_to(
                   CASE WHEN j.committed IS NULL THEN '16:pardna-journal-1,' ELSE '16:pardna-journal-2,' END
                   || ledger.net(j.tenant_id) || ledger.net(j.id) || ledger.net(j.key) || ledger.net(j.kind)
                   || ledger.net(j.effective_at) || ledger.net(j.original_at) || ledger.net(j.recorded_at)
                   || ledger.net(j.line_count)
                   || CASE WHEN j.committed IS NULL
                      THEN ledger.net(j.description) || ledger.net(j.refs) || ledger.net(j.metadata)
                      ELSE ledger.net(j.committed) END
                   || ledger.net(j.reverses) || ledger.net(j.posted_by) || ledger.net(j.xid)
                   || coalesce(l.lines, ''), 'UTF8')), ''::bytea ORDER BY j.place, j.journal_id)
        FROM (
            SELECT x.xid AS place, x.tenant_id, x.journal_id, x.journal_id::text AS id, x.key, x.kind,
                   ledger.instant(x.effective_at) AS effective_at,
                   ledger.instant(x.original_at) AS original_at,
                   ledger.instant(x.recorded_at) AS recorded_at, x.line_count::text AS line_count,
                   x.description, x.refs::text AS refs, x.metadata::text AS metadata,
                   encode(coalesce(x.commitment, CASE WHEN x.salt IS NOT NULL THEN
                       ledger.commitment(x.salt, x.description, x.refs, x.metadata) END), 'hex') AS committed,
                   x.reverses::text AS reverses, x.posted_by, x.xid::text AS xid
            FROM ledger.journals x
            WHERE x.tenant_id = me
              AND x.xid >= leaves_between.from_xid AND x.xid < leaves_between.to_xid
            ORDER BY x.xid, x.journal_id OFFSET 0
        ) j
        CROSS JOIN LATERAL (
            SELECT string_agg(ledger.net(e.line) || ledger.net(e.account_id) || ledger.net(e.code)
                       || ledger.net(e.amount_minor) || ledger.net(e.currency) || ledger.net(e.item)
                       || ledger.net(e.effective_day), '' ORDER BY e.place) AS lines
            FROM (
                SELECT y.line AS place, y.line::text AS line, y.account_id::text AS account_id, a.code,
                       y.amount_minor::text AS amount_minor, y.currency, y.item,
                       y.effective_day::text AS effective_day
                FROM ledger.entries y
                LEFT JOIN LATERAL (SELECT c.code FROM ledger.accounts c
                    WHERE c.tenant_id = y.tenant_id AND c.account_id = y.account_id LIMIT 1) a ON true
                WHERE y.tenant_id = j.tenant_id AND y.journal_id = j.journal_id
                  AND y.journal_id >= lowest AND y.journal_id <= highest
                ORDER BY y.line OFFSET 0
            ) e
        ) l
    );
END
$$;
