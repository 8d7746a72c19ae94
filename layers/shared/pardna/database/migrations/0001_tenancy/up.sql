-- Tenancy: who is acting is entered once per transaction, and every tenant table asks.
--
-- app.enter() uses set_config(..., is_local => true) inside a function, because a bare SET
-- statement would pin the connection behind RDS Proxy. Unset or empty means: no rows.

CREATE FUNCTION app.tenant() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT nullif(current_setting('app.tenant', true), '') $$;

CREATE FUNCTION app.principal() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT nullif(current_setting('app.principal', true), '') $$;

CREATE FUNCTION app.enter(tenant text, principal text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF tenant IS NULL OR tenant !~ '^[a-z0-9][a-z0-9-]{1,38}[a-z0-9]$' THEN
        RAISE EXCEPTION 'tenant % is not a tenant''s name', quote_nullable(tenant)
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF coalesce(principal, '') = '' THEN
        RAISE EXCEPTION 'a principal must act' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM set_config('app.tenant', tenant, true), set_config('app.principal', principal, true);
END
$$;

-- Row-level security, forced, so that it binds the owner of the tables as well.
-- The policy compares with current_setting itself, which the planner may use in an index condition.
CREATE FUNCTION app.protect(target regclass) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format(
        'CREATE POLICY tenant ON %s '
        'USING (tenant_id = nullif(current_setting(''app.tenant'', true), '''')) '
        'WITH CHECK (tenant_id = nullif(current_setting(''app.tenant'', true), ''''))', target);
END
$$;

-- What was written stays written: for tables that are append-only by design.
CREATE FUNCTION app.refuse_change() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;

CREATE FUNCTION app.make_append_only(target regclass) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE format(
        'CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %s '
        'FOR EACH ROW EXECUTE FUNCTION app.refuse_change()', target);
    EXECUTE format(
        'CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON %s '
        'FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change()', target);
END
$$;

-- Monthly partitions of a table that is partitioned by RANGE of a timestamptz.
-- Partitions get no privileges of their own: addressed by name they are closed to the runtime.
CREATE FUNCTION app.ensure_months(parent regclass, first_month date, months integer) RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    schema_name text;
    table_name text;
    lower_bound date;
    partition_name text;
    made integer := 0;
BEGIN
    SELECT n.nspname, c.relname INTO schema_name, table_name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = parent;
    FOR i IN 0 .. months - 1 LOOP
        lower_bound := (date_trunc('month', first_month) + make_interval(months => i))::date;
        partition_name := format('%s_%s', table_name, to_char(lower_bound, 'YYYY_MM'));
        IF to_regclass(format('%I.%I', schema_name, partition_name)) IS NULL THEN
            EXECUTE format(
                'CREATE TABLE %I.%I PARTITION OF %s FOR VALUES FROM (%L) TO (%L)',
                schema_name, partition_name, parent,
                lower_bound::timestamp AT TIME ZONE 'UTC',
                (lower_bound + interval '1 month') AT TIME ZONE 'UTC');
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END
$$;

CREATE TABLE app.audit_log (
    tenant_id text NOT NULL,
    audit_id bigint GENERATED ALWAYS AS IDENTITY,
    happened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    principal text NOT NULL DEFAULT app.principal(),
    action text NOT NULL CHECK (action ~ '^[a-z_]+\.[a-z_]+$'),
    subject text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, audit_id)
);
SELECT app.protect('app.audit_log');
SELECT app.make_append_only('app.audit_log');

REVOKE ALL ON FUNCTION app.protect(regclass), app.make_append_only(regclass),
    app.ensure_months(regclass, date, integer), app.refuse_change() FROM PUBLIC;
GRANT USAGE ON SCHEMA app TO pardna_runtime;
GRANT EXECUTE ON FUNCTION app.enter(text, text), app.tenant(), app.principal() TO pardna_runtime;
GRANT SELECT, INSERT ON app.audit_log TO pardna_runtime;
