-- An account's lines lie scattered over the whole table, one in each page: to add up a day of them, or to
-- show a page, was a read from disk for each line, and for as of an effective time a second one for its
-- journal. Now the index by account holds what is added up: lines of one account lie side by side in it.

-- When it takes effect, as its journal says. Null on lines from before this migration: ask the journal.
ALTER TABLE ledger.entries ADD COLUMN IF NOT EXISTS effective_at timestamptz;

-- ledger.post_batch as it was, and this column.
DO $do$
DECLARE
    before CONSTANT text := pg_get_functiondef('ledger.post_batch(jsonb, boolean)'::regprocedure);
    after  text := before;
    pair   text[];
BEGIN
    FOREACH pair SLICE 1 IN ARRAY ARRAY[
        ['amount_minor, currency, item, effective_day)',
         'amount_minor, currency, item, effective_day, effective_at)'],
        ['nullif((j_effective[t.ord] AT TIME ZONE ''UTC'')::date, (clock AT TIME ZONE ''UTC'')::date)',
         E'nullif((j_effective[t.ord] AT TIME ZONE ''UTC'')::date, (clock AT TIME ZONE ''UTC'')::date),\n'
         '           j_effective[t.ord]']
    ] LOOP
        IF strpos(after, pair[1]) = 0 OR length(replace(after, pair[1], '')) <> length(after) - length(pair[1]) THEN
            RAISE EXCEPTION 'ledger.post_batch is not as it was: %', pair[1];
        END IF;
        after := replace(after, pair[1], pair[2]);
    END LOOP;
    EXECUTE after;
END
$do$;

-- A partition that has such an index already, built CONCURRENTLY beforehand, is not indexed again.
CREATE INDEX entries_of_account ON ledger.entries (tenant_id, account_id, journal_id)
    INCLUDE (line, amount_minor, effective_at, item);
DROP INDEX ledger.entries_by_account;
CREATE INDEX entries_of_day ON ledger.entries (tenant_id, account_id, effective_day, journal_id)
    INCLUDE (amount_minor, effective_at) WHERE effective_day IS NOT NULL;
DROP INDEX ledger.entries_other_day;

-- Journals of one transaction are one index entry with their places: a sixth of the size.
CREATE INDEX journals_by_transaction ON ledger.journals (tenant_id, xid);
DROP INDEX ledger.journals_in_order;

-- An index answers alone only for pages that are known to be visible to all, which VACUUM notes. Rows that
-- are only ever added would wait for it until a fifth more are there.
CREATE FUNCTION ledger.tend_partition(partition regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s SET (autovacuum_vacuum_insert_scale_factor = 0.02,'
        ' autovacuum_vacuum_insert_threshold = 100000)', partition);
END
$$;
REVOKE ALL ON FUNCTION ledger.tend_partition FROM PUBLIC;
SELECT ledger.tend_partition(i.inhrelid::regclass) FROM pg_inherits i
WHERE i.inhparent IN ('ledger.entries'::regclass, 'ledger.journals'::regclass);

-- As before, each tended.
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
            PERFORM ledger.tend_partition(('ledger.' || name)::regclass);
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

-- As before, and when its lines take effect.
CREATE OR REPLACE FUNCTION ledger.load_restored(month date, journals jsonb, entries jsonb) RETURNS void
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
        ' currency, item, effective_day, effective_at)'
        ' SELECT app.tenant(), r.*, (SELECT j.effective_at FROM ledger.%I j'
        ' WHERE j.tenant_id = app.tenant() AND j.journal_id = r.journal_id)'
        ' FROM jsonb_to_recordset($1) r (journal_id uuid, line smallint,'
        ' account_id bigint, amount_minor bigint, currency text, item text, effective_day date)'
        ' ON CONFLICT DO NOTHING', 'entries_' || to_char(month, 'YYYY_MM'),
        'journals_' || to_char(month, 'YYYY_MM')) USING entries;
END
$$;

-- As before, also a month that was detached before its lines said when they take effect.
CREATE OR REPLACE FUNCTION ledger.attach_month(month date) RETURNS void
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
    -- Detached before that column was there.
    EXECUTE format('ALTER TABLE ledger.%I ADD COLUMN IF NOT EXISTS effective_at timestamptz', 'entries_' || name);
    FOREACH parent IN ARRAY ARRAY['journals', 'entries'] LOOP
        PERFORM ledger.tend_partition(('ledger.' || parent || '_' || name)::regclass);
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
