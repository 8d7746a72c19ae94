-- What a journal says in words is committed to, not sealed itself, so that it can be erased and the chain
-- still be verified; and old months leave the database for the lake, and come back.

-- ---------------------------------------------------------------- texts that can be erased

-- Description, references and metadata may name people. From here on a journal's leaf holds
-- SHA-256 over a random salt and them, instead of them: format pardna-journal-2. Without the salt
-- nobody can try texts against the commitment. Journals without a salt were sealed as
-- pardna-journal-1, and stay so.
ALTER TABLE ledger.journals ADD COLUMN salt bytea CHECK (octet_length(salt) = 16);
-- Kept when the texts are erased, together with the salt.
ALTER TABLE ledger.journals ADD COLUMN commitment bytea CHECK (octet_length(commitment) = 32);
ALTER TABLE ledger.journals ADD CHECK (commitment IS NULL
    OR (salt IS NULL AND description = '' AND refs = '{}' AND metadata = '{}'));

-- ledger.post as migration 0030 wrote it, and a salt for each journal: one secret is drawn for a call and
-- forgotten with it, each salt is a hash of it. (Drawing each costs far more.)
DO $do$
DECLARE
    before CONSTANT text := pg_get_functiondef('ledger.post(jsonb, boolean)'::regprocedure);
    after  text := before;
    pair   text[];
BEGIN
    FOREACH pair SLICE 1 IN ARRAY ARRAY[
        [E'    clock    timestamptz;\n',
         E'    clock    timestamptz;\n    secret   CONSTANT bytea := uuid_send(gen_random_uuid());\n'],
        ['metadata, reverses, posted_by)', 'metadata, reverses, posted_by, salt)'],
        ['j_reverses[d.ordinality], app.principal()',
         E'j_reverses[d.ordinality], app.principal(),\n               '
         'substring(sha256(secret || uuid_send(j_id[d.ordinality])) FROM 1 FOR 16)']
    ] LOOP
        IF strpos(after, pair[1]) = 0 OR length(replace(after, pair[1], '')) <> length(after) - length(pair[1]) THEN
            RAISE EXCEPTION 'ledger.post is not as migration 0030 wrote it: %', pair[1];
        END IF;
        after := replace(after, pair[1], pair[2]);
    END LOOP;
    EXECUTE after;
END
$do$;

CREATE FUNCTION ledger.commitment(salt bytea, description text, refs jsonb, metadata jsonb) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT sha256(convert_to(ledger.net(encode(salt, 'hex')) || ledger.net(description)
        || ledger.net(refs::text) || ledger.net(metadata::text), 'UTF8'))
$$;

-- The one change that a journal may see: its texts give way to the commitment that was sealed.
CREATE FUNCTION ledger.refuse_all_but_erasure() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    texts CONSTANT text[] := ARRAY['salt', 'commitment', 'description', 'refs', 'metadata'];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.salt IS NOT NULL AND NEW.salt IS NULL AND NEW.description = '' AND NEW.refs = '{}'
           AND NEW.metadata = '{}' AND to_jsonb(NEW) - texts = to_jsonb(OLD) - texts
           AND NEW.commitment = ledger.commitment(OLD.salt, OLD.description, OLD.refs, OLD.metadata) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING errcode = 'restrict_violation';
END
$$;
DROP TRIGGER append_only ON ledger.journals;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger.journals
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_all_but_erasure();

-- Erase what a journal says in words, for a reason that the audit log keeps. For administrators, as the
-- owner and within the tenant; the product's role may not. False when there is nothing to erase.
-- Refused for journals sealed with their texts, and for months that were archived with them.
CREATE FUNCTION ledger.erase_texts(journal uuid, reason text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known ledger.journals;
BEGIN
    SELECT * INTO known FROM ledger.journals j
    WHERE j.tenant_id = app.tenant() AND j.journal_id = journal FOR UPDATE;
    IF NOT FOUND OR known.commitment IS NOT NULL THEN
        RETURN false;
    END IF;
    IF known.salt IS NULL OR EXISTS (
        SELECT FROM ledger.archives a WHERE a.tenant_id = app.tenant()
        AND a.first_journal <= journal AND a.last_journal >= journal) THEN
        RAISE EXCEPTION 'the texts of journal % were sealed or archived', journal
            USING errcode = 'object_not_in_prerequisite_state';
    END IF;
    UPDATE ledger.journals j SET salt = NULL, description = '', refs = '{}', metadata = '{}',
        commitment = ledger.commitment(known.salt, known.description, known.refs, known.metadata)
    WHERE j.tenant_id = known.tenant_id AND j.journal_id = journal;
    INSERT INTO app.audit_log (tenant_id, action, subject, detail)
    VALUES (known.tenant_id, 'ledger.texts_erased', journal::text, jsonb_build_object('reason', reason));
    RETURN true;
END
$$;

-- As before, and `opening`: salt and texts of a commitment, null when there is none or it was erased.
DROP FUNCTION ledger.block_journals(bigint);
DROP FUNCTION ledger.journals_between(xid8, xid8);
CREATE FUNCTION ledger.journals_between(from_xid xid8, to_xid xid8)
RETURNS TABLE (journal_id uuid, fields text[], leaf bytea, opening text[])
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT j.journal_id, f.fields, sha256('\x00'::bytea || convert_to(n.body, 'UTF8')),
           CASE WHEN j.salt IS NOT NULL
                THEN ARRAY[encode(j.salt, 'hex'), j.description, j.refs::text, j.metadata::text] END
    FROM ledger.journals j
    CROSS JOIN LATERAL (
        SELECT CASE WHEN j.salt IS NULL AND j.commitment IS NULL
            THEN ARRAY['pardna-journal-1', j.tenant_id, j.journal_id::text, j.key, j.kind,
                     ledger.instant(j.effective_at), ledger.instant(j.original_at),
                     ledger.instant(j.recorded_at), j.line_count::text, j.description, j.refs::text,
                     j.metadata::text, j.reverses::text, j.posted_by, j.xid::text]
            ELSE ARRAY['pardna-journal-2', j.tenant_id, j.journal_id::text, j.key, j.kind,
                     ledger.instant(j.effective_at), ledger.instant(j.original_at),
                     ledger.instant(j.recorded_at), j.line_count::text,
                     encode(coalesce(j.commitment,
                         ledger.commitment(j.salt, j.description, j.refs, j.metadata)), 'hex'),
                     j.reverses::text, j.posted_by, j.xid::text]
            END || array_agg(l.field ORDER BY e.line, l.number) AS fields
        FROM ledger.entries e
        LEFT JOIN LATERAL (SELECT a.code FROM ledger.accounts a
            WHERE a.tenant_id = e.tenant_id AND a.account_id = e.account_id LIMIT 1) a ON true
        CROSS JOIN LATERAL unnest(ARRAY[e.line::text, e.account_id::text, a.code, e.amount_minor::text,
            e.currency, e.item, e.effective_day::text]) WITH ORDINALITY l (field, number)
        WHERE e.tenant_id = j.tenant_id AND e.journal_id = j.journal_id
    ) f
    CROSS JOIN LATERAL (
        SELECT string_agg(ledger.net(x.field), '' ORDER BY x.number) AS body
        FROM unnest(f.fields) WITH ORDINALITY x (field, number)
    ) n
    WHERE j.tenant_id = app.tenant()
      AND j.xid >= journals_between.from_xid AND j.xid < journals_between.to_xid
    ORDER BY j.xid, j.journal_id
$$;
CREATE FUNCTION ledger.block_journals(block_height bigint)
RETURNS TABLE (journal_id uuid, fields text[], opening text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT j.journal_id, j.fields, j.opening
    FROM ledger.blocks b
    CROSS JOIN LATERAL ledger.journals_between(b.from_xid, b.to_xid) j
    WHERE b.tenant_id = app.tenant() AND b.height = block_height
$$;
REVOKE ALL ON FUNCTION ledger.commitment, ledger.refuse_all_but_erasure, ledger.erase_texts,
    ledger.journals_between, ledger.block_journals FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.block_journals TO pardna_runtime;

-- ---------------------------------------------------------------- months that leave

-- The order, each step repeatable and cut off anywhere without loss: the product writes a tenant's month
-- as Parquet, reads it back, and registers what it read (register_archive compares that with the rows);
-- when every tenant with rows is registered, the month is detached (detach_month). It stays in the
-- database, closed to the product, until an administrator drops it (drop_month, which the product's
-- role may not call: it can remove nothing). A detached month is attached again (attach_month); a
-- dropped one is loaded from Parquet first, and every journal must be the one that was sealed.
--
-- Months leave from the oldest on and come back from the youngest on, so that what is archived ends at
-- one moment. Only a month that is closed, sealed, in a snapshot and without open holds leaves.

-- What a tenant's month is, as it was read back from Parquet. `journals_print` and `entries_print` are
-- sums over rows of the first 60 bits of SHA-256 of the row's text (see month_facts).
CREATE TABLE ledger.archives (
    tenant_id       text        NOT NULL,
    month           date        NOT NULL CHECK (extract(day FROM month) = 1),
    journals        bigint      NOT NULL CHECK (journals > 0),
    entries         bigint      NOT NULL CHECK (entries >= 2 * journals),
    debits_minor    numeric     NOT NULL,
    journals_print  numeric     NOT NULL,
    entries_print   numeric     NOT NULL,
    journals_sha256 text        NOT NULL CHECK (journals_sha256 ~ '^[0-9a-f]{64}$'),
    entries_sha256  text        NOT NULL CHECK (entries_sha256 ~ '^[0-9a-f]{64}$'),
    first_journal   uuid        NOT NULL,
    last_journal    uuid        NOT NULL,
    archived_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    archived_by     text        NOT NULL DEFAULT app.principal(),
    PRIMARY KEY (tenant_id, month)
);
SELECT app.protect('ledger.archives');
CREATE POLICY owner ON ledger.archives FOR SELECT TO pardna_owner USING (true);
SELECT app.make_append_only('ledger.archives');
GRANT SELECT ON ledger.archives TO pardna_runtime;

-- Months that are not part of the ledger's tables now.
CREATE TABLE ledger.archived_months (
    month           date        NOT NULL PRIMARY KEY,
    detached_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    dropped_at      timestamptz
);
ALTER TABLE ledger.archived_months ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON ledger.archived_months TO pardna_owner USING (true) WITH CHECK (true);

-- What later answers need of detached months: entries that count on another day than they were recorded
-- on, and what was open on clearing accounts when the month ended.
CREATE TABLE ledger.carried_days (
    tenant_id       text        NOT NULL,
    account_id      bigint      NOT NULL,
    journal_id      uuid        NOT NULL,
    line            smallint    NOT NULL,
    effective_at    timestamptz NOT NULL,
    effective_day   date        NOT NULL,
    amount_minor    bigint      NOT NULL,
    PRIMARY KEY (tenant_id, account_id, journal_id, line)
);
CREATE TABLE ledger.carried_items (
    tenant_id       text        NOT NULL,
    account_id      bigint      NOT NULL,
    item            text        NOT NULL,
    currency        text        NOT NULL,
    amount_minor    bigint      NOT NULL,
    PRIMARY KEY (tenant_id, account_id, item)
);
SELECT app.protect(t::regclass) FROM unnest(ARRAY['ledger.carried_days', 'ledger.carried_items']) t;
GRANT SELECT ON ledger.carried_days, ledger.carried_items TO pardna_runtime;

-- ---------------------------------------------------------------- what is archived

-- End of the last archived month in which the tenant has journals; null when nothing of it is archived.
CREATE FUNCTION ledger.archived_until() RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT (max(m.month) + interval '1 month') AT TIME ZONE 'UTC'
    FROM ledger.archived_months m
    WHERE EXISTS (SELECT FROM ledger.archives a WHERE a.tenant_id = app.tenant() AND a.month = m.month)
$$;

-- Refuse an answer that would need archived journals after `since` and before `bound`.
CREATE FUNCTION ledger.refuse_archived(since uuid, bound uuid) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    missing date;
BEGIN
    SELECT a.month INTO missing FROM ledger.archived_months m
    JOIN ledger.archives a ON a.tenant_id = app.tenant() AND a.month = m.month
    WHERE a.last_journal > since AND a.first_journal < bound ORDER BY a.month DESC LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the journals of % are archived; restore them first', to_char(missing, 'YYYY-MM')
            USING errcode = 'object_not_in_prerequisite_state';
    END IF;
END
$$;

-- A tenant's rows of a month, attached or not: how many, the sum of debits, and a print of each table.
-- A row's text is a netstring of each column ('=' and its text, or '-' for null): the product computes
-- the same from Parquet. By the partition's own name: the tenant's policy holds there too.
CREATE FUNCTION ledger.month_facts(month date, OUT journals bigint, OUT entries bigint,
    OUT debits_minor numeric, OUT journals_print numeric, OUT entries_print numeric)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    print CONSTANT text := $q$coalesce(sum(('x' || left(encode(sha256(convert_to((
        SELECT string_agg(ledger.net(coalesce('=' || f.value, '-')), '' ORDER BY f.place)
        FROM unnest(ARRAY[%s]) WITH ORDINALITY f (value, place)
        ), 'UTF8')), 'hex'), 15))::bit(60)::bigint), 0)$q$;
BEGIN
    EXECUTE format('SELECT count(*), ' || format(print,
        'j.journal_id::text, j.key, j.kind, ledger.instant(j.effective_at), ledger.instant(j.original_at),'
        ' ledger.instant(j.recorded_at), j.line_count::text, j.description, j.refs::text,'
        ' j.metadata::text, j.reverses::text, j.posted_by, j.xid::text, encode(j.salt, ''hex''),'
        ' encode(j.commitment, ''hex'')')
        || ' FROM ledger.%I j WHERE j.tenant_id = app.tenant()', 'journals_' || to_char(month, 'YYYY_MM'))
    INTO journals, journals_print;
    EXECUTE format('SELECT count(*), coalesce(sum(e.amount_minor) FILTER (WHERE e.amount_minor > 0), 0), '
        || format(print, 'e.journal_id::text, e.line::text, e.account_id::text, a.code,'
        ' e.amount_minor::text, e.currency, e.item, e.effective_day::text')
        || ' FROM ledger.%I e LEFT JOIN ledger.accounts a'
        ' ON a.tenant_id = e.tenant_id AND a.account_id = e.account_id'
        ' WHERE e.tenant_id = app.tenant()', 'entries_' || to_char(month, 'YYYY_MM'))
    INTO entries, debits_minor, entries_print;
END
$$;

-- Why the tenant's month may not be archived; null when it may.
CREATE FUNCTION ledger.archive_obstacle(month date) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    me        CONSTANT text := app.tenant();
    month_end CONSTANT date := (date_trunc('month', month) + interval '1 month')::date;
    ends_at   CONSTANT timestamptz := month_end::timestamp AT TIME ZONE 'UTC';
BEGIN
    IF ends_at + interval '1 month' > clock_timestamp() THEN
        RETURN 'too_young';
    ELSIF NOT EXISTS (SELECT FROM ledger.closings c WHERE c.tenant_id = me AND c.closed_until >= ends_at) THEN
        RETURN 'period_open';
    ELSIF NOT EXISTS (SELECT FROM ledger.snapshot_days s WHERE s.tenant_id = me AND s.day = month_end - 1) THEN
        RETURN 'no_snapshot';
    ELSIF EXISTS (SELECT FROM ledger.open_holds h
                  WHERE h.tenant_id = me AND h.hold_id < ledger.uuid7_floor(ends_at)) THEN
        RETURN 'open_holds';
    ELSIF EXISTS (SELECT FROM ledger.journals j
                  WHERE j.tenant_id = me AND j.journal_id < ledger.uuid7_floor(ends_at)
                    AND j.xid >= coalesce((SELECT max(b.to_xid) FROM ledger.blocks b WHERE b.tenant_id = me),
                                          '0'::xid8)) THEN
        RETURN 'unsealed';
    END IF;
    RETURN NULL;
END
$$;

-- The months that are attached, oldest first, and how many journals of the tenant each holds (none: 0).
CREATE FUNCTION ledger.attached_months() RETURNS TABLE (month date)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT to_date(right(c.relname, 7), 'YYYY_MM') FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'ledger.journals'::regclass ORDER BY 1
$$;

-- ---------------------------------------------------------------- out

-- Register what was read back of a tenant's archived month. facts: {"journals", "entries",
-- "debits_minor", "journals_print", "entries_print", "journals_sha256", "entries_sha256"}. True when
-- registered now or before with the same facts; refused when they are not those of the held.
CREATE FUNCTION ledger.register_archive(month date, facts jsonb) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    me    CONSTANT text := app.tenant();
    low   CONSTANT timestamptz := month::timestamp AT TIME ZONE 'UTC';
    high  CONSTANT timestamptz := (month + interval '1 month') AT TIME ZONE 'UTC';
    why   text;
    held  record;
BEGIN
    IF me IS NULL THEN
        RAISE EXCEPTION 'no tenant entered' USING errcode = 'insufficient_privilege';
    END IF;
    IF NOT EXISTS (SELECT FROM ledger.attached_months() m WHERE m.month = register_archive.month) THEN
        RAISE EXCEPTION 'there is no month % to archive', month USING errcode = '22023';
    END IF;
    why := ledger.archive_obstacle(month);
    IF why IS NOT NULL THEN
        RAISE EXCEPTION 'the month % may not be archived: %', month, why
            USING errcode = 'object_not_in_prerequisite_state';
    END IF;
    SELECT * INTO held FROM ledger.month_facts(month);
    IF (held.journals, held.entries, held.debits_minor, held.journals_print, held.entries_print)
       IS DISTINCT FROM ((facts->>'journals')::bigint, (facts->>'entries')::bigint,
            (facts->>'debits_minor')::numeric, (facts->>'journals_print')::numeric,
            (facts->>'entries_print')::numeric) THEN
        RAISE EXCEPTION 'what was read back of % is not what the ledger holds', month
            USING errcode = 'integrity_constraint_violation';
    END IF;
    INSERT INTO ledger.archives (tenant_id, month, journals, entries, debits_minor, journals_print,
        entries_print, journals_sha256, entries_sha256, first_journal, last_journal)
    SELECT me, register_archive.month, held.journals, held.entries, held.debits_minor,
        held.journals_print, held.entries_print, facts->>'journals_sha256', facts->>'entries_sha256',
        (SELECT j.journal_id FROM ledger.journals j
         WHERE j.tenant_id = me AND j.journal_id >= ledger.uuid7_floor(low) ORDER BY j.journal_id LIMIT 1),
        (SELECT j.journal_id FROM ledger.journals j
         WHERE j.tenant_id = me AND j.journal_id < ledger.uuid7_floor(high) ORDER BY j.journal_id DESC LIMIT 1)
    ON CONFLICT DO NOTHING;
    RETURN true;
END
$$;

-- Keep of the tenant's month what later answers need (sign 1), or give it back (sign -1).
CREATE FUNCTION ledger.carry(month date, sign integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name CONSTANT text := to_char(month, 'YYYY_MM');
BEGIN
    IF sign = 1 THEN
        EXECUTE format('INSERT INTO ledger.carried_days (tenant_id, account_id, journal_id, line,'
            ' effective_at, effective_day, amount_minor)'
            ' SELECT e.tenant_id, e.account_id, e.journal_id, e.line, j.effective_at, e.effective_day,'
            ' e.amount_minor FROM ledger.%I e JOIN ledger.%I j USING (tenant_id, journal_id)'
            ' WHERE e.tenant_id = app.tenant() AND e.effective_day IS NOT NULL',
            'entries_' || name, 'journals_' || name);
    ELSE
        DELETE FROM ledger.carried_days c WHERE c.tenant_id = app.tenant()
            AND c.journal_id >= ledger.uuid7_floor(month::timestamp AT TIME ZONE 'UTC')
            AND c.journal_id < ledger.uuid7_floor((month + interval '1 month') AT TIME ZONE 'UTC');
    END IF;
    EXECUTE format('INSERT INTO ledger.carried_items AS c (tenant_id, account_id, item, currency, amount_minor)'
        ' SELECT e.tenant_id, e.account_id, e.item, min(e.currency), $1 * sum(e.amount_minor)'
        ' FROM ledger.%I e WHERE e.tenant_id = app.tenant() AND e.item IS NOT NULL'
        ' GROUP BY e.tenant_id, e.account_id, e.item'
        ' ON CONFLICT (tenant_id, account_id, item)'
        ' DO UPDATE SET amount_minor = c.amount_minor + excluded.amount_minor', 'entries_' || name)
        USING sign;
    DELETE FROM ledger.carried_items c WHERE c.tenant_id = app.tenant() AND c.amount_minor = 0;
END
$$;

-- Take the oldest month out of the ledger's tables. Refused unless every tenant's rows in it are
-- registered, as many as there are. Waits at most three seconds for those who read or post, and gives
-- up then: DETACH CONCURRENTLY may not run inside a function, and the product's role owns no table.
CREATE FUNCTION ledger.detach_month(month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$
DECLARE
    caller   CONSTANT text := coalesce(app.tenant(), '');
    name     CONSTANT text := to_char(month, 'YYYY_MM');
    tenant   text;
    why      text;
    held     bigint[];
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('ledger.months', 0));
    IF month IS DISTINCT FROM (SELECT min(m.month) FROM ledger.attached_months() m) THEN
        RAISE EXCEPTION '% is not the oldest month of the ledger', month USING errcode = '22023';
    END IF;
    IF (month + interval '2 months') AT TIME ZONE 'UTC' > clock_timestamp() THEN
        RAISE EXCEPTION 'the month % is too young to leave', month
            USING errcode = 'object_not_in_prerequisite_state';
    END IF;
    EXECUTE format('LOCK TABLE ledger.%I, ledger.%I IN SHARE MODE', 'journals_' || name, 'entries_' || name);
    FOREACH tenant IN ARRAY (SELECT array_agg(t.tenant_id) FROM ledger.tenants t) LOOP
        PERFORM set_config('app.tenant', tenant, true);
        EXECUTE format('SELECT ARRAY[(SELECT count(*) FROM ledger.%I j WHERE j.tenant_id = $1),'
            '(SELECT count(*) FROM ledger.%I e WHERE e.tenant_id = $1)]',
            'journals_' || name, 'entries_' || name) INTO held USING tenant;
        CONTINUE WHEN held = ARRAY[0, 0]::bigint[];
        why := ledger.archive_obstacle(month);
        IF why IS NOT NULL OR NOT EXISTS (
            SELECT FROM ledger.archives a WHERE a.tenant_id = tenant
            AND a.month = detach_month.month AND ARRAY[a.journals, a.entries] = held) THEN
            RAISE EXCEPTION 'the month % is not archived for every tenant: %', month,
                coalesce(why, 'not_registered') USING errcode = 'object_not_in_prerequisite_state';
        END IF;
        PERFORM ledger.carry(month, 1);
    END LOOP;
    PERFORM set_config('app.tenant', caller, true);
    EXECUTE format('ALTER TABLE ledger.entries DETACH PARTITION ledger.%I', 'entries_' || name);
    EXECUTE format('ALTER TABLE ledger.journals DETACH PARTITION ledger.%I', 'journals_' || name);
    -- The parents' row triggers do not stay behind.
    EXECUTE format('CREATE TRIGGER append_only_detached BEFORE UPDATE OR DELETE ON ledger.%I '
        'FOR EACH ROW EXECUTE FUNCTION app.refuse_change()', 'entries_' || name);
    EXECUTE format('CREATE TRIGGER append_only_detached BEFORE UPDATE OR DELETE ON ledger.%I '
        'FOR EACH ROW EXECUTE FUNCTION app.refuse_change()', 'journals_' || name);
    INSERT INTO ledger.archived_months (month) VALUES (detach_month.month);
END
$$;

-- Whether a month that is not attached holds, tenant by tenant, exactly what was registered of it, and
-- nothing else. Also for rows of a tenant that nobody knows: row-level security is lifted to count.
CREATE FUNCTION ledger.check_archived(month date) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    caller CONSTANT text := coalesce(app.tenant(), '');
    name   CONSTANT text := to_char(month, 'YYYY_MM');
    known  ledger.archives;
    held   record;
    total  bigint[];
    told   bigint[] := '{0,0}';
BEGIN
    IF to_regclass('ledger.journals_' || name) IS NULL OR to_regclass('ledger.entries_' || name) IS NULL THEN
        RAISE EXCEPTION 'the month % is not in the database', month
            USING errcode = 'object_not_in_prerequisite_state';
    END IF;
    EXECUTE format('LOCK TABLE ledger.%I, ledger.%I IN ACCESS EXCLUSIVE MODE',
        'journals_' || name, 'entries_' || name);
    FOR known IN SELECT * FROM ledger.archives a WHERE a.month = check_archived.month LOOP
        PERFORM set_config('app.tenant', known.tenant_id, true);
        SELECT * INTO held FROM ledger.month_facts(month);
        IF (held.journals, held.entries, held.debits_minor, held.journals_print, held.entries_print)
           IS DISTINCT FROM (known.journals, known.entries, known.debits_minor, known.journals_print,
                             known.entries_print) THEN
            RAISE EXCEPTION 'the rows of % are not those that were archived', month
                USING errcode = 'integrity_constraint_violation';
        END IF;
        told := ARRAY[told[1] + known.journals, told[2] + known.entries];
    END LOOP;
    PERFORM set_config('app.tenant', caller, true);
    EXECUTE format('ALTER TABLE ledger.%I NO FORCE ROW LEVEL SECURITY', 'journals_' || name);
    EXECUTE format('ALTER TABLE ledger.%I NO FORCE ROW LEVEL SECURITY', 'entries_' || name);
    EXECUTE format('SELECT ARRAY[(SELECT count(*) FROM ledger.%I), (SELECT count(*) FROM ledger.%I)]',
        'journals_' || name, 'entries_' || name) INTO total;
    EXECUTE format('ALTER TABLE ledger.%I FORCE ROW LEVEL SECURITY', 'journals_' || name);
    EXECUTE format('ALTER TABLE ledger.%I FORCE ROW LEVEL SECURITY', 'entries_' || name);
    IF total <> told THEN
        RAISE EXCEPTION 'the month % holds rows that were not archived', month
            USING errcode = 'integrity_constraint_violation';
    END IF;
END
$$;

-- Remove a detached month for good: for administrators, as the owner. The product's role may not.
CREATE FUNCTION ledger.drop_month(month date) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('ledger.months', 0));
    IF NOT EXISTS (SELECT FROM ledger.archived_months m
                   WHERE m.month = drop_month.month AND m.dropped_at IS NULL) THEN
        RAISE EXCEPTION 'the month % is not detached', month
            USING errcode = 'object_not_in_prerequisite_state';
    END IF;
    PERFORM ledger.check_archived(month);
    EXECUTE format('DROP TABLE ledger.%I, ledger.%I', 'entries_' || to_char(month, 'YYYY_MM'),
        'journals_' || to_char(month, 'YYYY_MM'));
    UPDATE ledger.archived_months m SET dropped_at = clock_timestamp() WHERE m.month = drop_month.month;
END
$$;

-- ---------------------------------------------------------------- in again

-- The month that comes back next, and whether its rows must be loaded first; no row when none is archived.
CREATE FUNCTION ledger.next_to_restore() RETURNS TABLE (month date, dropped boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT m.month, m.dropped_at IS NOT NULL FROM ledger.archived_months m ORDER BY m.month DESC LIMIT 1
$$;

-- Empty tables to load a dropped month into; what an earlier attempt loaded is thrown away.
CREATE FUNCTION ledger.begin_restore(month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$
DECLARE
    parent text;
    name   text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('ledger.months', 0));
    IF NOT EXISTS (SELECT FROM ledger.next_to_restore() m WHERE m.month = begin_restore.month AND m.dropped) THEN
        RAISE EXCEPTION '% is not the month to restore next', month USING errcode = '22023';
    END IF;
    FOREACH parent IN ARRAY ARRAY['journals', 'entries'] LOOP
        name := format('%s_%s', parent, to_char(month, 'YYYY_MM'));
        EXECUTE format('DROP TABLE IF EXISTS ledger.%I', name);
        EXECUTE format('CREATE TABLE ledger.%I (LIKE ledger.%I INCLUDING ALL)', name, parent);
        PERFORM app.protect(('ledger.' || name)::regclass);
    END LOOP;
END
$$;

-- Load rows of the tenant into a month that is being restored; rows that are there already stay.
CREATE FUNCTION ledger.load_restored(month date, journals jsonb, entries jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM ledger.next_to_restore() m WHERE m.month = load_restored.month AND m.dropped) THEN
        RAISE EXCEPTION '% is not the month to restore next', month USING errcode = '22023';
    END IF;
    EXECUTE format('INSERT INTO ledger.%I (tenant_id, journal_id, key, kind, effective_at, original_at,'
        ' recorded_at, line_count, description, refs, metadata, reverses, posted_by, xid, salt, commitment)'
        ' SELECT app.tenant(), r.journal_id, r.key, r.kind, r.effective_at, r.original_at, r.recorded_at,'
        ' r.line_count, r.description, r.refs::jsonb, r.metadata::jsonb, r.reverses, r.posted_by, r.xid,'
        ' decode(r.salt, ''hex''), decode(r.commitment, ''hex'')'
        ' FROM jsonb_to_recordset($1) r (journal_id uuid, key text, kind text, effective_at timestamptz,'
        ' original_at timestamptz, recorded_at timestamptz, line_count smallint, description text,'
        ' refs text, metadata text, reverses uuid, posted_by text, xid xid8, salt text, commitment text) ON CONFLICT DO NOTHING', 'journals_' || to_char(month, 'YYYY_MM'))
        USING journals;
    EXECUTE format('INSERT INTO ledger.%I (tenant_id, journal_id, line, account_id, amount_minor,'
        ' currency, item, effective_day)'
        ' SELECT app.tenant(), r.* FROM jsonb_to_recordset($1) r (journal_id uuid, line smallint,'
        ' account_id bigint, amount_minor bigint, currency text, item text, effective_day date)'
        ' ON CONFLICT DO NOTHING', 'entries_' || to_char(month, 'YYYY_MM')) USING entries;
END
$$;

-- Make the youngest archived month part of the ledger's tables again. Its rows must be those that were
-- registered, and each journal the one that its block sealed.
CREATE FUNCTION ledger.attach_month(month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$
DECLARE
    caller CONSTANT text := coalesce(app.tenant(), '');
    name   CONSTANT text := to_char(month, 'YYYY_MM');
    low    CONSTANT uuid := ledger.uuid7_floor(month::timestamp AT TIME ZONE 'UTC');
    high   CONSTANT uuid := ledger.uuid7_floor((month + interval '1 month') AT TIME ZONE 'UTC');
    known  ledger.archives;
    parent text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('ledger.months', 0));
    IF month IS DISTINCT FROM (SELECT m.month FROM ledger.next_to_restore() m) THEN
        RAISE EXCEPTION '% is not the month to restore next', month USING errcode = '22023';
    END IF;
    PERFORM ledger.check_archived(month);
    FOREACH parent IN ARRAY ARRAY['journals', 'entries'] LOOP
        EXECUTE format('DROP TRIGGER IF EXISTS append_only_detached ON ledger.%I', parent || '_' || name);
        EXECUTE format('CREATE OR REPLACE TRIGGER check_%1$s AFTER INSERT ON ledger.%2$I '
            'REFERENCING NEW TABLE AS new_%1$s FOR EACH STATEMENT '
            'EXECUTE FUNCTION ledger.check_%1$s()', parent, parent || '_' || name);
        EXECUTE format('CREATE OR REPLACE TRIGGER append_only_truncate BEFORE TRUNCATE ON ledger.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change()', parent || '_' || name);
        EXECUTE format('ALTER TABLE ledger.%I ATTACH PARTITION ledger.%I FOR VALUES FROM (%L) TO (%L)',
            parent, parent || '_' || name, low, high);
    END LOOP;
    FOR known IN SELECT * FROM ledger.archives a WHERE a.month = attach_month.month LOOP
        PERFORM set_config('app.tenant', known.tenant_id, true);
        PERFORM ledger.check_sealed(known.tenant_id, low, high);
        PERFORM ledger.carry(month, -1);
    END LOOP;
    PERFORM set_config('app.tenant', caller, true);
    DELETE FROM ledger.archived_months m WHERE m.month = attach_month.month;
END
$$;

-- Each journal of the tenant from `low` to `high` is a leaf of the block that holds its transaction.
CREATE FUNCTION ledger.check_sealed(tenant text, low uuid, high uuid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    block ledger.blocks;
    found_here bigint;
    sealed bigint := 0;
BEGIN
    FOR block IN
        SELECT b.* FROM ledger.blocks b,
            (SELECT min(j.xid) AS first, max(j.xid) AS last FROM ledger.journals j
             WHERE j.tenant_id = tenant AND j.journal_id >= low AND j.journal_id < high) x
        WHERE b.tenant_id = tenant AND b.to_xid > x.first AND b.from_xid <= x.last
    LOOP
        SELECT count(*) INTO found_here
        FROM ledger.journals_between(block.from_xid, block.to_xid) j
        WHERE j.journal_id >= low AND j.journal_id < high AND j.leaf IN (
            SELECT substring(block.leaves FROM 32 * i + 1 FOR 32) FROM generate_series(0, block.journals - 1) i);
        sealed := sealed + found_here;
    END LOOP;
    IF sealed <> (SELECT count(*) FROM ledger.journals j
                  WHERE j.tenant_id = tenant AND j.journal_id >= low AND j.journal_id < high) THEN
        RAISE EXCEPTION 'a journal is not the one that was sealed' USING errcode = 'integrity_constraint_violation';
    END IF;
END
$$;

-- ---------------------------------------------------------------- what knew of all months

-- As before, and never a month that is archived.
CREATE OR REPLACE FUNCTION ledger.ensure_partitions(first_day date, months integer) RETURNS text[]
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
        CONTINUE WHEN (month AT TIME ZONE 'UTC')::date <= (SELECT max(m.month) FROM ledger.archived_months m);
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

-- As before; the journal that a reversal names may be archived: code `archived`.
CREATE OR REPLACE FUNCTION ledger.decide_reversals(
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
            codes[i] := CASE WHEN EXISTS (
                SELECT FROM ledger.once o
                WHERE o.tenant_id = app.tenant()
                  AND o.key_digest = sha256(convert_to('key:' || target, 'UTF8'))
                  AND o.journal_id < ledger.uuid7_floor(ledger.archived_until()))
                THEN 'archived' ELSE 'unknown_journal' END;
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

-- As before, unless it would need journals that are archived.
CREATE OR REPLACE FUNCTION ledger.total_below(account bigint, bound uuid) RETURNS bigint
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
    PERFORM ledger.refuse_archived(since, bound);
    SELECT sum(e.amount_minor)::bigint INTO rest FROM ledger.entries e
    WHERE e.tenant_id = me AND e.account_id = account AND e.journal_id >= since AND e.journal_id < bound;
    RETURN coalesce(base, 0) + coalesce(rest, 0);
END
$$;

-- As before. Of archived months: at any midnight, and at any moment after them.
CREATE OR REPLACE FUNCTION ledger.balance_effective(account_code text, account_currency text, moment timestamptz)
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
    IF moment > on_day::timestamp AT TIME ZONE 'UTC' THEN  -- part of a day: its journals are looked at
        PERFORM ledger.refuse_archived(day_from, ledger.uuid7_floor(moment));
    END IF;
    RETURN ledger.total_below(account, day_from)
        - coalesce((SELECT sum(c.amount_minor) FROM ledger.carried_days c  -- as below, of archived months
            WHERE c.tenant_id = me AND c.account_id = account AND c.effective_day >= on_day
              AND c.journal_id < day_from), 0)
        + coalesce((SELECT sum(c.amount_minor) FROM ledger.carried_days c
            WHERE c.tenant_id = me AND c.account_id = account AND c.effective_day < on_day
              AND c.journal_id >= day_from), 0)
        + coalesce((SELECT sum(c.amount_minor) FROM ledger.carried_days c
            WHERE c.tenant_id = me AND c.account_id = account AND c.effective_day = on_day
              AND c.effective_at < moment), 0)
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

-- As before. From the beginning means from the end of what is archived, its total carried forward.
CREATE OR REPLACE FUNCTION ledger.statement(account_code text, account_currency text,
    after_journal uuid, after_line smallint, page_size integer)
RETURNS TABLE (journal_id uuid, line smallint, amount_minor bigint, balance_minor bigint, key text,
    kind text, description text, effective_at timestamptz, recorded_at timestamptz, item text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    me       CONSTANT text := app.tenant();
    cut      CONSTANT uuid := coalesce(ledger.uuid7_floor(ledger.archived_until()),
                                       '00000000-0000-0000-0000-000000000000');
    start    CONSTANT uuid := coalesce(after_journal, cut);
    account  bigint;
    opening  bigint := 0;
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

CREATE OR REPLACE VIEW ledger.discrepancies WITH (security_invoker = true) AS
SELECT b.tenant_id, b.account_id, b.debits_minor, b.credits_minor, e.debits_minor AS entries_debits_minor,
       e.credits_minor AS entries_credits_minor
FROM (
    SELECT tenant_id, account_id, sum(debits_minor) AS debits_minor, sum(credits_minor) AS credits_minor,
           sum(entries) AS entries
    FROM ledger.balances GROUP BY tenant_id, account_id
) b
FULL JOIN (
    SELECT x.tenant_id, x.account_id, sum(x.debits) AS debits_minor, sum(x.credits) AS credits_minor,
           sum(x.entries) AS entries
    FROM (
        SELECT tenant_id, account_id, coalesce(sum(amount_minor) FILTER (WHERE amount_minor > 0), 0) AS debits,
               coalesce(-sum(amount_minor) FILTER (WHERE amount_minor < 0), 0) AS credits, count(*) AS entries
        FROM ledger.entries GROUP BY tenant_id, account_id
        UNION ALL
        (SELECT DISTINCT ON (tenant_id, account_id) tenant_id, account_id, debits_minor, credits_minor, entries
         FROM ledger.snapshots WHERE day < (ledger.archived_until() AT TIME ZONE 'UTC')::date
         ORDER BY tenant_id, account_id, day DESC)
    ) x GROUP BY x.tenant_id, x.account_id
) e USING (tenant_id, account_id)
WHERE (b.debits_minor, b.credits_minor, b.entries)
      IS DISTINCT FROM (coalesce(e.debits_minor, 0), coalesce(e.credits_minor, 0), coalesce(e.entries, 0));

CREATE OR REPLACE VIEW ledger.open_items_added_up WITH (security_invoker = true) AS
SELECT e.tenant_id, a.code, e.currency, e.item, sum(e.amount_minor)::bigint AS amount_minor
FROM ledger.accounts a
JOIN (
    SELECT tenant_id, account_id, currency, item, amount_minor FROM ledger.entries
    UNION ALL SELECT tenant_id, account_id, currency, item, amount_minor FROM ledger.carried_items
) e ON e.tenant_id = a.tenant_id AND e.account_id = a.account_id
WHERE a.code LIKE 'clearing:%'
GROUP BY e.tenant_id, a.code, e.currency, e.item
HAVING sum(e.amount_minor) <> 0;

REVOKE ALL ON FUNCTION ledger.archived_until, ledger.refuse_archived, ledger.month_facts,
    ledger.archive_obstacle, ledger.attached_months, ledger.register_archive, ledger.carry,
    ledger.detach_month, ledger.check_archived, ledger.drop_month, ledger.next_to_restore,
    ledger.begin_restore, ledger.load_restored, ledger.attach_month, ledger.check_sealed FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.archived_until, ledger.archive_obstacle, ledger.attached_months,
    ledger.register_archive, ledger.detach_month, ledger.next_to_restore, ledger.begin_restore,
    ledger.load_restored, ledger.attach_month TO pardna_runtime;
