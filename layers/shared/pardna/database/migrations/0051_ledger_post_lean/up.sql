-- Posting with fewer searches of indexes, which are most of its cost. What is refused, locked and checked,
-- and in which order, is unchanged.

DO $do$
DECLARE
    before CONSTANT text := pg_get_functiondef('ledger.post_batch(jsonb, boolean)'::regprocedure);
    after  text := before;
    pair   text[];
BEGIN
    FOREACH pair SLICE 1 IN ARRAY ARRAY[
        [E'    limited  boolean;\n',
         E'    limited  boolean;\n'
         '    asked    boolean;  -- which keys are known is looked up before anything is decided\n'],

        -- Where nothing but its key can decide about a journal, taking the keys (step 5) tells which were
        -- known, as it does when another call is faster. Looking them up before would search all twice.
        [E'    SELECT array_agg(o.journal_id ORDER BY k.ord), array_agg(o.request_hash ORDER BY k.ord)\n',
         E'    asked := limited OR reversing OR repeated OR all_or_nothing\n'
         '        OR EXISTS (SELECT FROM unnest(j_code) c WHERE c IS NOT NULL)\n'
         '        OR EXISTS (SELECT FROM unnest(j_effective) e WHERE e < closed);\n'
         '    IF asked THEN\n'
         '    SELECT array_agg(o.journal_id ORDER BY k.ord), array_agg(o.request_hash ORDER BY k.ord)\n'],
        [E'    IF \'unknown_account\' = ANY (j_code) THEN\n',
         E'    END IF;\n    IF \'unknown_account\' = ANY (j_code) THEN\n']
    ] LOOP
        IF strpos(after, pair[1]) = 0 OR length(replace(after, pair[1], '')) <> length(after) - length(pair[1]) THEN
            RAISE EXCEPTION 'ledger.post_batch is not as it was written: %', pair[1];
        END IF;
        after := replace(after, pair[1], pair[2]);
    END LOOP;

    -- Balances: each row is found, locked as it then stands and changed in one go, in id order.
    after := regexp_replace(after, '    -- Locked in one statement and updated in the next:.*?WHERE b\.ctid = p\.place;\n',
        $new$    -- Every account has its rows since it was opened: each is locked, as it then stands, and added to.
    INSERT INTO ledger.balances AS b (tenant_id, account_id, shard, debits_minor, credits_minor, entries)
    SELECT me, t.account, t.shard, coalesce(sum(t.amount) FILTER (WHERE t.amount > 0), 0)::bigint,
           coalesce(-sum(t.amount) FILTER (WHERE t.amount < 0), 0)::bigint, count(*)
    FROM unnest(l_ord, l_account, l_shard, l_amount) AS t(ord, account, shard, amount)
    WHERE j_code[t.ord] IS NULL GROUP BY t.account, t.shard ORDER BY t.account, t.shard
    ON CONFLICT (tenant_id, account_id, shard) DO UPDATE
    SET debits_minor = b.debits_minor + excluded.debits_minor,
        credits_minor = b.credits_minor + excluded.credits_minor, entries = b.entries + excluded.entries;
$new$);
    IF strpos(after, 'excluded.debits_minor') = 0 OR strpos(after, 'p.place') > 0 THEN
        RAISE EXCEPTION 'ledger.post_batch is not as it was written: balances';
    END IF;
    EXECUTE after;
END
$do$;

-- The guards read what they compare in one go: a statement's journals lie next to each other in either
-- table, so a range of the primary key holds them. No join, so that no plan can be a bad one. Rows of other
-- journals in the range count for nothing.
CREATE OR REPLACE FUNCTION ledger.check_entries() RETURNS TRIGGER
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    broken  record;
    tenant  text;
    lowest  uuid;
    highest uuid;
BEGIN
    SELECT e.tenant_id, e.journal_id INTO tenant, lowest FROM new_entries e ORDER BY e.journal_id LIMIT 1;
    SELECT e.journal_id INTO highest FROM new_entries e ORDER BY e.journal_id DESC LIMIT 1;

    SELECT e.journal_id, e.currency INTO broken
    FROM new_entries e
    LEFT JOIN LATERAL (
        SELECT x.currency FROM ledger.accounts x
        WHERE x.tenant_id = e.tenant_id AND x.account_id = e.account_id LIMIT 1) a ON true
    WHERE a.currency IS DISTINCT FROM e.currency OR e.tenant_id <> tenant
    LIMIT 1;
    IF found THEN
        RAISE EXCEPTION 'journal %: a line in % is not in its account''s currency',
            broken.journal_id, broken.currency USING errcode = 'check_violation';
    END IF;

    SELECT s.journal_id, bool_or(s.made_here) IS NOT TRUE AS foreign_journal
    INTO broken
    FROM (
        SELECT e.journal_id, sum(e.amount_minor) = 0 AS balanced, count(*) AS lines,
               min(e.line) AS first, max(e.line) AS last,
               NULL::smallint AS line_count, NULL::boolean AS made_here
        FROM new_entries e GROUP BY e.journal_id, e.currency
        UNION ALL
        SELECT x.journal_id, NULL, NULL, NULL, NULL, x.line_count, x.xid = pg_current_xact_id()
        FROM ledger.journals x
        WHERE x.tenant_id = tenant AND x.journal_id >= lowest AND x.journal_id <= highest
    ) s
    GROUP BY s.journal_id
    HAVING count(s.balanced) > 0  -- it has new lines
       AND (bool_or(s.made_here) IS NOT TRUE
            -- All lines 1 to n at once: with the primary key, none can follow later.
            OR min(s.first) <> 1 OR max(s.last) <> max(s.line_count) OR sum(s.lines) <> max(s.line_count)
            OR NOT bool_and(s.balanced))
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

CREATE OR REPLACE FUNCTION ledger.check_journals() RETURNS TRIGGER
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    empty   uuid;
    tenant  text;
    lowest  uuid;
    highest uuid;
BEGIN
    SELECT j.tenant_id, j.journal_id INTO tenant, lowest FROM new_journals j ORDER BY j.journal_id LIMIT 1;
    SELECT j.journal_id INTO highest FROM new_journals j ORDER BY j.journal_id DESC LIMIT 1;

    SELECT s.journal_id INTO empty
    FROM (
        SELECT j.journal_id, j.tenant_id AS made_for, NULL::smallint AS line FROM new_journals j
        UNION ALL
        SELECT x.journal_id, NULL, x.line FROM ledger.entries x
        WHERE x.tenant_id = tenant AND x.journal_id >= lowest AND x.journal_id <= highest AND x.line = 1
    ) s
    GROUP BY s.journal_id
    HAVING count(s.made_for) > 0 AND (count(s.line) = 0 OR max(s.made_for) <> tenant)
    LIMIT 1;
    IF found THEN
        RAISE EXCEPTION 'journal %: has no lines', empty USING errcode = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;

-- What a guard and sealing ask of an account by its id: an index that compares numbers, and answers alone.
CREATE INDEX accounts_by_id ON ledger.accounts (account_id) INCLUDE (tenant_id, currency, code);
