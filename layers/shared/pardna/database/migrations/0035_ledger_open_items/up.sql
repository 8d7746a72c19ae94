-- What is open on clearing accounts, kept as it changes instead of added up when asked: the answer
-- then costs what is open, not all that ever was.

CREATE TABLE ledger.open_amounts (
    tenant_id      text   NOT NULL,
    account_id     bigint NOT NULL,
    item           text   NOT NULL,
    currency       text   NOT NULL,
    amount_minor   bigint NOT NULL,
    PRIMARY KEY (tenant_id, account_id, item)
) WITH (fillfactor = 70);
SELECT app.protect('ledger.open_amounts');
GRANT SELECT ON ledger.open_amounts TO pardna_runtime;

INSERT INTO ledger.open_amounts (tenant_id, account_id, item, currency, amount_minor)
SELECT tenant_id, account_id, item, currency, sum(amount_minor) FROM ledger.entries
WHERE item IS NOT NULL GROUP BY tenant_id, account_id, item, currency HAVING sum(amount_minor) <> 0;

-- Fires with each posting, between its keys and its balances; rows in key order, so that postings of
-- one item wait for each other and never in a circle.
CREATE FUNCTION ledger.keep_open_amounts() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM new_entries WHERE item IS NOT NULL) THEN
        RETURN NULL;
    END IF;
    INSERT INTO ledger.open_amounts AS o (tenant_id, account_id, item, currency, amount_minor)
    SELECT e.tenant_id, e.account_id, e.item, min(e.currency), sum(e.amount_minor)
    FROM new_entries e WHERE e.item IS NOT NULL
    GROUP BY e.tenant_id, e.account_id, e.item
    ORDER BY e.tenant_id, e.account_id, e.item
    ON CONFLICT (tenant_id, account_id, item) DO UPDATE
    SET amount_minor = o.amount_minor + excluded.amount_minor;
    DELETE FROM ledger.open_amounts o
    USING (SELECT DISTINCT tenant_id, account_id, item FROM new_entries WHERE item IS NOT NULL) e
    CROSS JOIN LATERAL (
        SELECT x.ctid AS place FROM ledger.open_amounts x
        WHERE x.tenant_id = e.tenant_id AND x.account_id = e.account_id AND x.item = e.item
          AND x.amount_minor = 0 LIMIT 1) p
    WHERE o.ctid = p.place;
    RETURN NULL;
END
$$;
CREATE TRIGGER keep_open_amounts AFTER INSERT ON ledger.entries
    REFERENCING NEW TABLE AS new_entries FOR EACH STATEMENT
    EXECUTE FUNCTION ledger.keep_open_amounts();
REVOKE ALL ON FUNCTION ledger.keep_open_amounts FROM PUBLIC;

-- Items that do not agree with their entries: no row, ever. Adds everything up; for checks only.
ALTER VIEW ledger.open_items RENAME TO open_items_added_up;
CREATE VIEW ledger.open_items WITH (security_invoker = true) AS
SELECT o.tenant_id, a.code, o.currency, o.item, o.amount_minor
FROM ledger.open_amounts o
JOIN ledger.accounts a ON a.tenant_id = o.tenant_id AND a.account_id = o.account_id
WHERE a.code LIKE 'clearing:%';
CREATE VIEW ledger.open_discrepancies WITH (security_invoker = true) AS
(SELECT * FROM ledger.open_items EXCEPT SELECT * FROM ledger.open_items_added_up WHERE item IS NOT NULL)
UNION ALL
(SELECT * FROM ledger.open_items_added_up WHERE item IS NOT NULL EXCEPT SELECT * FROM ledger.open_items);
GRANT SELECT ON ledger.open_items, ledger.open_items_added_up, ledger.open_discrepancies
    TO pardna_runtime;
