-- Posting: the only way into the ledger. One call takes an array of journals and answers for each.
--
--   journal: {"key", "kind", "effective_at"?, "late": "move"?, "description"?, "refs"?, "metadata"?,
--             "lines": [{"account", "currency", "amount_minor", "item"?}, ...]}
--        or: {"key", "kind", ..., "reverses": <key of a posted journal or of an earlier one here>}
--   outcome: {"outcome": "posted" | "already_posted", "journal_id"}
--        or: {"outcome": "refused", "code"}
--
-- Codes: too_few_lines, unknown_account, currency_mismatch, unbalanced, closed_period,
-- below_minimum, key_reused, unknown_journal, already_reversed, batch_refused.
--
-- Order of locks, the same in every call, so that calls cannot deadlock: balances of accounts with a
-- minimum in id order; keys in digest order; all other balances in id order, last and shortest.
-- Raises serialization_failure when it raced a call that used the same keys in a way that only a
-- fresh look can decide: the caller repeats its transaction. Needs READ COMMITTED.

CREATE FUNCTION ledger.open_accounts(accounts jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH wanted AS (
        SELECT DISTINCT ON (w.code, w.currency) w.*
        FROM jsonb_to_recordset(accounts) w (
            code text, currency text, type text, normal_side text,
            minimum_minor bigint, shards smallint, parent text)
        ORDER BY w.code, w.currency
    ), opened AS (
        INSERT INTO ledger.accounts
            (tenant_id, code, currency, type, normal_side, minimum_minor, shards, parent)
        SELECT app.tenant(), w.code, w.currency, w.type, w.normal_side, w.minimum_minor,
               coalesce(w.shards, 1), w.parent
        FROM wanted w
        WHERE NOT EXISTS (
            SELECT FROM ledger.accounts a
            WHERE a.tenant_id = app.tenant() AND a.code = w.code AND a.currency = w.currency)
        ORDER BY w.code, w.currency
        ON CONFLICT (tenant_id, code, currency) DO NOTHING
        RETURNING tenant_id, account_id, shards
    )
    INSERT INTO ledger.balances (tenant_id, account_id, shard)
    SELECT o.tenant_id, o.account_id, s FROM opened o, generate_series(0, o.shards - 1) s
$$;

-- The journals with the lines of each reversal filled in: those of the journal that it names, negated,
-- as it was posted, else as it stands earlier in this call (`here`). Unknown ones stay without lines.
CREATE FUNCTION ledger.with_reversals(journals jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_agg(CASE WHEN d.value ? 'reverses'
        THEN d.value || jsonb_build_object('lines', coalesce(there.lines, here.lines, '[]'),
                                           'here', there.lines IS NULL)
        ELSE d.value END ORDER BY d.ordinality)
    FROM jsonb_array_elements(journals) WITH ORDINALITY d
    LEFT JOIN LATERAL (
        SELECT jsonb_agg(jsonb_build_object('account', a.code, 'currency', e.currency,
            'amount_minor', -e.amount_minor, 'item', e.item) ORDER BY e.line) AS lines
        FROM ledger.once o
        JOIN ledger.entries e ON e.tenant_id = o.tenant_id AND e.journal_id = o.journal_id
        JOIN ledger.accounts a ON a.tenant_id = e.tenant_id AND a.account_id = e.account_id
        WHERE o.tenant_id = app.tenant()
          AND o.key_digest = sha256(convert_to('key:' || (d.value->>'reverses'), 'UTF8'))
    ) there ON d.value ? 'reverses'
    LEFT JOIN LATERAL (
        SELECT jsonb_agg(l.value || jsonb_build_object(
            'amount_minor', -(l.value->>'amount_minor')::bigint) ORDER BY l.ordinality) AS lines
        FROM (SELECT e.value FROM jsonb_array_elements(journals) WITH ORDINALITY e
              WHERE e.value->>'key' = d.value->>'reverses' AND e.ordinality < d.ordinality
              ORDER BY e.ordinality LIMIT 1) target,
             jsonb_array_elements(target.value->'lines') WITH ORDINALITY l
    ) here ON d.value ? 'reverses' AND there.lines IS NULL
$$;

-- Where to cut a call so that no part names a key twice or reverses a journal of its own: the first
-- position of each part, and one behind the end.
CREATE FUNCTION ledger.cuts(digests bytea[], targets text[]) RETURNS integer[]
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found integer[] := '{1}';
    start integer := 1;
BEGIN
    FOR i IN 2 .. cardinality(digests) LOOP
        IF array_position(digests, digests[i], start) < i
           OR array_position(digests, sha256(convert_to('key:' || targets[i], 'UTF8')), start) < i THEN
            start := i;
            found := found || i;
        END IF;
    END LOOP;
    RETURN found || (cardinality(digests) + 1);
END
$$;

-- unknown_account where no account has that code; currency_mismatch where one has, in another currency.
CREATE FUNCTION ledger.name_currency_mismatch(docs jsonb, codes text[]) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    FOR i IN 1 .. cardinality(codes) LOOP
        IF codes[i] = 'unknown_account' AND NOT EXISTS (
            SELECT FROM jsonb_array_elements(docs->(i - 1)->'lines') l
            WHERE NOT EXISTS (SELECT FROM ledger.accounts a
                WHERE a.tenant_id = app.tenant() AND a.code = l.value->>'account')
        ) THEN
            codes[i] := 'currency_mismatch';
        END IF;
    END LOOP;
    RETURN codes;
END
$$;

-- For each journal that reverses another: which one, and whether that is known and not reversed yet.
CREATE FUNCTION ledger.decide_reversals(
    docs jsonb, ids uuid[], INOUT codes text[], OUT reversed uuid[])
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    keys constant text[] := (SELECT array_agg(d.value->>'key' ORDER BY d.ordinality)
                             FROM jsonb_array_elements(docs) WITH ORDINALITY d);
    target text;
    place  integer;
BEGIN
    reversed := array_fill(NULL::uuid, ARRAY[cardinality(codes)]);
    FOR i IN 1 .. cardinality(codes) LOOP
        target := docs->(i - 1)->>'reverses';
        CONTINUE WHEN target IS NULL OR codes[i] IN ('already_posted', 'key_reused');
        place := array_position(keys, target);
        IF NOT (docs->(i - 1)->'here')::boolean THEN
            reversed[i] := (SELECT o.journal_id FROM ledger.once o
                WHERE o.tenant_id = app.tenant()
                  AND o.key_digest = sha256(convert_to('key:' || target, 'UTF8')));
        ELSIF place < i AND codes[place] = 'key_reused' THEN
            RAISE EXCEPTION 'raced a call with the same keys' USING errcode = 'serialization_failure';
        ELSIF place < i AND (codes[place] IS NULL OR codes[place] = 'already_posted') THEN
            reversed[i] := ids[place];
        END IF;
        IF reversed[i] IS NULL THEN
            codes[i] := 'unknown_journal';
        ELSIF i > array_position(reversed, reversed[i]) OR EXISTS (
            SELECT FROM ledger.once o
            WHERE o.tenant_id = app.tenant()
              AND o.key_digest = sha256(convert_to('reverse:' || target, 'UTF8'))
        ) THEN
            codes[i] := 'already_reversed';
        END IF;
    END LOOP;
END
$$;

-- Planner settings: plans are cached per connection, perhaps while tables are still small, and every
-- lookup here is by key. Without them the first connections of a new database scan whole tables.
CREATE FUNCTION ledger.post(journals jsonb, all_or_nothing boolean DEFAULT false) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    me       CONSTANT text := app.tenant();
    n        CONSTANT integer := jsonb_array_length(journals);
    clock    timestamptz;
    stem     text;
    docs     jsonb := journals;
    closed   timestamptz;
    reversing boolean;
    repeated boolean;
    cuts     integer[];
    answers  jsonb;
    limited  boolean;
    -- one element per journal
    j_digest bytea[];  j_hash bytea[];  j_id uuid[];  j_effective timestamptz[];  j_original timestamptz[];
    j_target text[];   j_reverses uuid[];
    j_code   text[];   -- null: to be posted; 'already_posted'; else why it is refused
    k_id     uuid[];   k_hash bytea[];
    -- one element per line; a journal without lines has one element without l_no
    l_ord integer[];  l_no smallint[];  l_account bigint[];  l_shard smallint[];  l_amount bigint[];
    l_currency text[];  l_item text[];  l_minimum bigint[];  l_side smallint[];
    m_account bigint[];  m_left bigint[];  -- accounts with a minimum, and what is left above it
    fresh    integer;
    made     integer;
    r        record;
BEGIN
    IF me IS NULL THEN
        RAISE EXCEPTION 'no tenant entered' USING errcode = 'insufficient_privilege';
    END IF;
    IF n > 4000 THEN
        RAISE EXCEPTION 'at most 4000 journals a call, not %', n USING errcode = '22023';
    END IF;
    IF n = 0 THEN
        RETURN '[]';
    END IF;
    -- Whoever must know that no posting is under way (closing a period, a day's snapshot) takes this
    -- lock exclusively; the clock is read under it, so that nobody posts with a time from before.
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('ledger.post:' || me, 0));
    clock := clock_timestamp();
    IF to_regclass('ledger.entries_' || to_char(clock AT TIME ZONE 'UTC', 'YYYY_MM')) IS NULL THEN
        -- Months are made ahead; should nobody have done so, the first posting of a month does.
        PERFORM ledger.ensure_partitions((clock AT TIME ZONE 'UTC')::date, 3);
    END IF;
    stem := replace(ledger.uuid7(clock, 0)::text, '-', '');
    SELECT max(c.closed_until) INTO closed FROM ledger.closings c WHERE c.tenant_id = me;
    SELECT array_agg(sha256(convert_to('key:' || (d.value->>'key'), 'UTF8')) ORDER BY d.ordinality),
           array_agg(sha256(convert_to((d.value - 'key')::text, 'UTF8')) ORDER BY d.ordinality),
           array_agg((left(stem, 13) || lpad(to_hex(d.ordinality), 3, '0') || substr(stem, 17))::uuid
                     ORDER BY d.ordinality),  -- as ledger.uuid7, the random part shared
           array_agg(coalesce((d.value->>'effective_at')::timestamptz, clock) ORDER BY d.ordinality),
           array_agg(d.value->>'reverses' ORDER BY d.ordinality)
    INTO j_digest, j_hash, j_id, j_effective, j_target
    FROM jsonb_array_elements(journals) WITH ORDINALITY d;
    j_original := array_fill(NULL::timestamptz, ARRAY[n]);
    j_reverses := array_fill(NULL::uuid, ARRAY[n]);
    reversing := jsonb_path_exists(journals, '$[*].reverses');
    repeated := (SELECT count(DISTINCT d) FROM unnest(j_digest) d) < n;
    IF (repeated OR reversing) AND NOT all_or_nothing THEN
        -- A key twice, or a reversal of a journal of this call: what becomes of the second depends on
        -- the first, so the call is cut in between and its parts are posted one after the other.
        cuts := ledger.cuts(j_digest, j_target);
        IF cardinality(cuts) > 2 THEN
            answers := '[]';
            FOR i IN 2 .. cardinality(cuts) LOOP
                answers := answers || ledger.post(jsonb_path_query_array(journals, '$[$from to $to]',
                    jsonb_build_object('from', cuts[i - 1] - 1, 'to', cuts[i] - 2)));
            END LOOP;
            RETURN answers;
        END IF;
    END IF;
    IF reversing THEN
        docs := ledger.with_reversals(journals);
    END IF;

    -- 1. Resolve the lines.
    SELECT array_agg(x.ord), array_agg(x.no), array_agg(x.account_id), array_agg(x.shard),
           array_agg(x.amount), array_agg(x.currency), array_agg(x.item),
           array_agg(x.minimum_minor), array_agg(x.side), bool_or(x.minimum_minor IS NOT NULL)
    INTO l_ord, l_no, l_account, l_shard, l_amount, l_currency, l_item, l_minimum, l_side, limited
    FROM (
        SELECT d.ordinality::integer AS ord, l.ordinality::smallint AS no, a.account_id,
               (pg_backend_pid() % a.shards)::smallint AS shard,
               (l.value->>'amount_minor')::bigint AS amount, l.value->>'currency' AS currency,
               l.value->>'item' AS item, a.minimum_minor,
               (CASE a.normal_side WHEN 'debit' THEN 1 ELSE -1 END)::smallint AS side
        FROM jsonb_array_elements(docs) WITH ORDINALITY d
        LEFT JOIN LATERAL jsonb_array_elements(d.value->'lines') WITH ORDINALITY l ON true
        LEFT JOIN LATERAL (
            SELECT * FROM ledger.accounts a
            WHERE a.tenant_id = me AND a.code = l.value->>'account' AND a.currency = l.value->>'currency'
            LIMIT 1) a ON true
        ORDER BY 1, 2
    ) x;

    -- 2. What each journal's own lines decide.
    SELECT array_agg(CASE WHEN g.lines < 2 THEN 'too_few_lines' WHEN g.unknown THEN 'unknown_account'
                          WHEN g.zero THEN 'zero_amount' WHEN g.unbalanced THEN 'unbalanced' END
                     ORDER BY g.ord)
    INTO j_code
    FROM (
        SELECT c.ord, sum(c.lines) AS lines, bool_or(c.unknown) AS unknown, bool_or(c.zero) AS zero,
               bool_or(c.total <> 0) AS unbalanced
        FROM (
            SELECT ord, count(no) AS lines, bool_or(no IS NOT NULL AND account IS NULL) AS unknown,
                   coalesce(bool_or(amount = 0), false) AS zero, sum(amount) AS total
            FROM unnest(l_ord, l_no, l_account, l_amount, l_currency)
                 AS t(ord, no, account, amount, currency)
            GROUP BY ord, currency
        ) c GROUP BY c.ord
    ) g;
    -- 3. Lock what must be decided under a lock, then look which keys are known.
    IF limited THEN
        PERFORM FROM (SELECT DISTINCT t.account FROM unnest(l_account, l_minimum) AS t(account, minimum)
                      WHERE t.minimum IS NOT NULL ORDER BY 1) m
        CROSS JOIN LATERAL (SELECT FROM ledger.balances b
            WHERE b.tenant_id = me AND b.account_id = m.account AND b.shard = 0 FOR UPDATE) held;
        SELECT array_agg(m.account), array_agg(b.available - m.minimum)
        INTO m_account, m_left
        FROM (SELECT DISTINCT t.account, t.minimum, t.side
              FROM unnest(l_account, l_minimum, l_side) AS t(account, minimum, side)
              WHERE t.minimum IS NOT NULL) m
        CROSS JOIN LATERAL (
            SELECT CASE m.side WHEN 1 THEN x.debits_minor - x.credits_minor - x.held_credits_minor
                   ELSE x.credits_minor - x.debits_minor - x.held_debits_minor END AS available
            FROM ledger.balances x
            WHERE x.tenant_id = me AND x.account_id = m.account AND x.shard = 0 LIMIT 1) b;
    END IF;
    SELECT array_agg(o.journal_id ORDER BY k.ord), array_agg(o.request_hash ORDER BY k.ord)
    INTO k_id, k_hash
    FROM unnest(j_digest) WITH ORDINALITY AS k(digest, ord)
    LEFT JOIN LATERAL (SELECT x.journal_id, x.request_hash FROM ledger.once x
        WHERE x.tenant_id = me AND x.key_digest = k.digest LIMIT 1) o ON true;

    -- 4. Decide.
    FOR i IN 1 .. n LOOP
        IF k_id[i] IS NOT NULL THEN
            j_code[i] := CASE WHEN k_hash[i] = j_hash[i] THEN 'already_posted' ELSE 'key_reused' END;
            j_id[i] := k_id[i];
        ELSIF j_code[i] IS NULL AND closed IS NOT NULL AND j_effective[i] < closed THEN
            IF journals->(i - 1)->>'late' = 'move' THEN
                j_original[i] := j_effective[i];
                j_effective[i] := closed;
            ELSE
                j_code[i] := 'closed_period';
            END IF;
        END IF;
    END LOOP;
    IF 'unknown_account' = ANY (j_code) THEN
        j_code := ledger.name_currency_mismatch(docs, j_code);
    END IF;
    IF reversing THEN
        SELECT x.codes, x.reversed INTO j_code, j_reverses
        FROM ledger.decide_reversals(docs, j_id, j_code) x;
    END IF;
    IF limited THEN
        FOR r IN
            SELECT t.ord, array_agg(t.account) AS accounts, array_agg(t.delta) AS deltas
            FROM (SELECT u.ord, u.account, sum(u.side * u.amount) AS delta
                  FROM unnest(l_ord, l_account, l_amount, l_minimum, l_side)
                       AS u(ord, account, amount, minimum, side)
                  WHERE u.minimum IS NOT NULL GROUP BY u.ord, u.account) t
            GROUP BY t.ord ORDER BY t.ord
        LOOP
            CONTINUE WHEN j_code[r.ord] IS NOT NULL;
            IF EXISTS (SELECT FROM unnest(r.accounts, r.deltas) AS x(account, delta)
                       WHERE x.delta < 0
                         AND m_left[array_position(m_account, x.account)] + x.delta < 0) THEN
                j_code[r.ord] := 'below_minimum';
            ELSE
                FOR i IN 1 .. cardinality(r.accounts) LOOP
                    m_left[array_position(m_account, r.accounts[i])] :=
                        m_left[array_position(m_account, r.accounts[i])] + r.deltas[i];
                END LOOP;
            END IF;
        END LOOP;
    END IF;
    IF repeated THEN  -- all or nothing, else it was cut above
        FOR i IN 2 .. n LOOP
            made := array_position(j_digest, j_digest[i]);
            IF made < i AND k_id[i] IS NULL THEN
                j_code[i] := CASE WHEN j_hash[made] <> j_hash[i] THEN 'key_reused'
                                  ELSE coalesce(j_code[made], 'already_posted') END;
                j_id[i] := j_id[made];
            END IF;
        END LOOP;
    END IF;
    IF all_or_nothing AND EXISTS (SELECT FROM unnest(j_code) c WHERE c <> 'already_posted') THEN
        FOR i IN 1 .. n LOOP
            j_code[i] := coalesce(j_code[i], 'batch_refused');
        END LOOP;
    END IF;

    -- 5. Take the keys.
    SELECT count(*) INTO fresh FROM unnest(j_code) c WHERE c IS NULL;
    WITH taken AS (
        INSERT INTO ledger.once (tenant_id, key_digest, journal_id, request_hash)
        SELECT me, t.digest, t.id, t.hash FROM (
            SELECT digest, id, hash, code FROM unnest(j_digest, j_id, j_hash, j_code)
                AS u(digest, id, hash, code)
            UNION ALL
            SELECT sha256(convert_to('reverse:' || target, 'UTF8')), id, hash, code
            FROM unnest(j_target, j_id, j_hash, j_code) AS u(target, id, hash, code)
            WHERE target IS NOT NULL
        ) t
        WHERE t.code IS NULL ORDER BY t.digest
        ON CONFLICT (tenant_id, key_digest) DO NOTHING RETURNING 1
    ) SELECT count(*) INTO made FROM taken;
    IF made < fresh + (SELECT count(*) FROM unnest(j_target, j_code) AS u(target, code)
                       WHERE u.target IS NOT NULL AND u.code IS NULL) THEN
        IF limited OR reversing OR all_or_nothing THEN
            RAISE EXCEPTION 'raced a call with the same keys' USING errcode = 'serialization_failure';
        END IF;
        FOR r IN
            SELECT k.ord, o.journal_id, o.request_hash
            FROM unnest(j_digest, j_code) WITH ORDINALITY AS k(digest, code, ord)
            CROSS JOIN LATERAL (SELECT * FROM ledger.once x
                WHERE x.tenant_id = me AND x.key_digest = k.digest LIMIT 1) o
            WHERE k.code IS NULL
        LOOP
            CONTINUE WHEN r.journal_id = j_id[r.ord];
            j_code[r.ord] := CASE WHEN r.request_hash = j_hash[r.ord] THEN 'already_posted'
                                  ELSE 'key_reused' END;
            j_id[r.ord] := r.journal_id;
        END LOOP;
    END IF;

    -- 6. Write. One statement, so that the guards of either table see both.
    WITH posted AS (
        INSERT INTO ledger.journals (tenant_id, journal_id, key, kind, effective_at, original_at,
            recorded_at, line_count, description, refs, metadata, reverses, posted_by)
        SELECT me, j_id[d.ordinality], d.value->>'key', coalesce(d.value->>'kind', 'journal'),
               j_effective[d.ordinality], j_original[d.ordinality], clock,
               jsonb_array_length(d.value->'lines'), coalesce(d.value->>'description', ''),
               coalesce(d.value->'refs', '{}'), coalesce(d.value->'metadata', '{}'),
               j_reverses[d.ordinality], app.principal()
        FROM jsonb_array_elements(docs) WITH ORDINALITY d
        WHERE j_code[d.ordinality] IS NULL
    )
    INSERT INTO ledger.entries
        (tenant_id, journal_id, line, account_id, amount_minor, currency, item, effective_day)
    SELECT me, j_id[t.ord], t.no, t.account, t.amount, t.currency, t.item,
           nullif((j_effective[t.ord] AT TIME ZONE 'UTC')::date, (clock AT TIME ZONE 'UTC')::date)
    FROM unnest(l_ord, l_no, l_account, l_amount, l_currency, l_item)
         AS t(ord, no, account, amount, currency, item)
    WHERE j_code[t.ord] IS NULL;

    -- 7. Balances last, in id order: the hottest locks are held for the shortest time.
    -- Locked in one statement and updated in the next: its snapshot is younger than the locks, so it
    -- sees what they waited for.
    PERFORM FROM (SELECT DISTINCT t.account, t.shard
                  FROM unnest(l_ord, l_account, l_shard) AS t(ord, account, shard)
                  WHERE j_code[t.ord] IS NULL ORDER BY 1, 2) d
    CROSS JOIN LATERAL (SELECT FROM ledger.balances b
        WHERE b.tenant_id = me AND b.account_id = d.account AND b.shard = d.shard FOR UPDATE) held;
    UPDATE ledger.balances b
    SET debits_minor = b.debits_minor + d.debits, credits_minor = b.credits_minor + d.credits,
        entries = b.entries + d.entries
    FROM (
        SELECT t.account, t.shard, count(*) AS entries,
               coalesce(sum(t.amount) FILTER (WHERE t.amount > 0), 0)::bigint AS debits,
               coalesce(-sum(t.amount) FILTER (WHERE t.amount < 0), 0)::bigint AS credits
        FROM unnest(l_ord, l_account, l_shard, l_amount) AS t(ord, account, shard, amount)
        WHERE j_code[t.ord] IS NULL GROUP BY t.account, t.shard
    ) d
    CROSS JOIN LATERAL (SELECT x.ctid AS place FROM ledger.balances x
        WHERE x.tenant_id = me AND x.account_id = d.account AND x.shard = d.shard LIMIT 1) p
    WHERE b.ctid = p.place;

    RETURN (
        SELECT jsonb_agg(CASE
            WHEN t.code IS NULL THEN jsonb_build_object('outcome', 'posted', 'journal_id', t.id)
            WHEN t.code = 'already_posted'
                THEN jsonb_build_object('outcome', t.code, 'journal_id', t.id)
            ELSE jsonb_build_object('outcome', 'refused', 'code', t.code) END ORDER BY t.ord)
        FROM unnest(j_id, j_code) WITH ORDINALITY AS t(id, code, ord));
END
$$;

-- Closes everything effective before `until`. Waits for postings under way, holds back later ones.
CREATE FUNCTION ledger.close_period(until timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('ledger.post:' || app.tenant(), 0));
    IF until > clock_timestamp() THEN
        RAISE EXCEPTION 'a period that is not over cannot be closed' USING errcode = '22023';
    END IF;
    IF EXISTS (SELECT FROM ledger.closings c WHERE c.tenant_id = app.tenant() AND c.closed_until > until) THEN
        RAISE EXCEPTION 'a later period is closed already' USING errcode = '22023';
    END IF;
    INSERT INTO ledger.closings (tenant_id, closed_until, closed_by)
    VALUES (app.tenant(), until, app.principal()) ON CONFLICT DO NOTHING;
END
$$;

-- Records which legs matches join or part. A later version wins, and within a version `unmatched`
-- over `committed`. The rows stay locked, so that two states of one match post one after the other.
-- Returns the matches whose recorded state is later than the given one.
CREATE FUNCTION ledger.mark_legs(legs jsonb) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stale text[];
BEGIN
    INSERT INTO ledger.matched_legs AS m
        (tenant_id, pair, transaction_id, match_id, version, status, matched_at)
    SELECT DISTINCT ON (l.match_id, l.pair, l.transaction_id) app.tenant(), l.pair,
        l.transaction_id, l.match_id, l.version, l.status, l.matched_at
    FROM jsonb_to_recordset(legs) l (pair text, transaction_id text, match_id text,
        version integer, status text, matched_at timestamptz)
    ORDER BY l.match_id, l.pair, l.transaction_id, l.version DESC, l.status = 'unmatched' DESC
    ON CONFLICT (tenant_id, pair, transaction_id, match_id) DO UPDATE
    SET version = excluded.version, status = excluded.status, matched_at = excluded.matched_at
    WHERE (m.version, m.status = 'unmatched') < (excluded.version, excluded.status = 'unmatched');

    SELECT array_agg(DISTINCT l.match_id) INTO stale
    FROM jsonb_to_recordset(legs) l (pair text, transaction_id text, match_id text,
        version integer, status text)
    CROSS JOIN LATERAL (SELECT * FROM ledger.matched_legs m
        WHERE m.tenant_id = app.tenant() AND m.pair = l.pair
          AND m.transaction_id = l.transaction_id AND m.match_id = l.match_id LIMIT 1) m
    WHERE (m.version, m.status = 'unmatched') > (l.version, l.status = 'unmatched');
    RETURN coalesce(stale, '{}');
END
$$;

REVOKE ALL ON FUNCTION ledger.close_period, ledger.mark_legs, ledger.post, ledger.open_accounts, ledger.with_reversals,
    ledger.decide_reversals, ledger.name_currency_mismatch,
    ledger.cuts FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.post, ledger.open_accounts, ledger.close_period, ledger.mark_legs TO pardna_runtime;
