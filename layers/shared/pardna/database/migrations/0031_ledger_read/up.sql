-- Reading the ledger. All views run with the reader's rights, so its tenant's rows are all they see.

-- One row per account, its shards added up; `balance_minor` is on the account's normal side.
CREATE VIEW ledger.account_balances WITH (security_invoker = true) AS
SELECT a.tenant_id, a.account_id, a.code, a.currency, a.type, a.normal_side, a.minimum_minor, a.parent,
       b.debits_minor, b.credits_minor, b.entries, b.held_debits_minor, b.held_credits_minor,
       CASE a.normal_side WHEN 'debit' THEN b.debits_minor - b.credits_minor
                          ELSE b.credits_minor - b.debits_minor END AS balance_minor
FROM ledger.accounts a
CROSS JOIN LATERAL (
    SELECT sum(x.debits_minor)::bigint AS debits_minor, sum(x.credits_minor)::bigint AS credits_minor,
           sum(x.entries)::bigint AS entries, sum(x.held_debits_minor)::bigint AS held_debits_minor,
           sum(x.held_credits_minor)::bigint AS held_credits_minor
    FROM ledger.balances x WHERE x.tenant_id = a.tenant_id AND x.account_id = a.account_id
) b;

-- Zero in every currency, or something is broken.
CREATE VIEW ledger.trial_balance WITH (security_invoker = true) AS
SELECT tenant_id, currency, sum(debits_minor) AS debits_minor, sum(credits_minor) AS credits_minor,
       sum(debits_minor) - sum(credits_minor) AS difference_minor, count(*) AS accounts
FROM ledger.account_balances GROUP BY tenant_id, currency;

-- What a clearing account that is not zero consists of: the items (transactions) still open on it.
CREATE VIEW ledger.open_items WITH (security_invoker = true) AS
SELECT e.tenant_id, a.code, e.currency, e.item, sum(e.amount_minor)::bigint AS amount_minor
FROM ledger.accounts a
JOIN ledger.entries e ON e.tenant_id = a.tenant_id AND e.account_id = a.account_id
WHERE a.code LIKE 'clearing:%'
GROUP BY e.tenant_id, a.code, e.currency, e.item
HAVING sum(e.amount_minor) <> 0;

-- Where balances and entries disagree: no row, ever. The job and every stateful test ask this.
CREATE VIEW ledger.discrepancies WITH (security_invoker = true) AS
SELECT b.tenant_id, b.account_id, b.debits_minor, b.credits_minor, e.debits_minor AS entries_debits_minor,
       e.credits_minor AS entries_credits_minor
FROM (
    SELECT tenant_id, account_id, sum(debits_minor) AS debits_minor, sum(credits_minor) AS credits_minor,
           sum(entries) AS entries
    FROM ledger.balances GROUP BY tenant_id, account_id
) b
FULL JOIN (
    SELECT tenant_id, account_id, coalesce(sum(amount_minor) FILTER (WHERE amount_minor > 0), 0) AS debits_minor,
           coalesce(-sum(amount_minor) FILTER (WHERE amount_minor < 0), 0) AS credits_minor, count(*) AS entries
    FROM ledger.entries GROUP BY tenant_id, account_id
) e USING (tenant_id, account_id)
WHERE (b.debits_minor, b.credits_minor, b.entries)
      IS DISTINCT FROM (coalesce(e.debits_minor, 0), coalesce(e.credits_minor, 0), coalesce(e.entries, 0));

-- A page of an account's statement, oldest first, with the balance (debit positive) after each line.
-- The cursor is the (journal_id, line) of the last line seen; null starts at the beginning.
-- Ids are made before their transaction commits, so lines of transactions still under way, and of
-- any that began later, are held back: a page that was read never gains a line.
CREATE FUNCTION ledger.statement(account_code text, account_currency text,
    after_journal uuid, after_line smallint, page_size integer)
RETURNS TABLE (journal_id uuid, line smallint, amount_minor bigint, balance_minor bigint, key text,
    kind text, description text, effective_at timestamptz, recorded_at timestamptz, item text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH account AS (
        SELECT a.account_id FROM ledger.accounts a
        WHERE a.tenant_id = app.tenant() AND a.code = account_code AND a.currency = account_currency
    ), opening AS (
        SELECT coalesce(sum(e.amount_minor), 0) AS total
        FROM account JOIN ledger.entries e ON e.account_id = account.account_id
        WHERE e.tenant_id = app.tenant() AND after_journal IS NOT NULL
          AND (e.journal_id, e.line) <= (after_journal, after_line)
    ), page AS (
        SELECT e.*, j.key, j.kind, j.description, j.effective_at, j.recorded_at
        FROM account
        JOIN ledger.entries e ON e.account_id = account.account_id AND e.tenant_id = app.tenant()
        JOIN ledger.journals j ON j.tenant_id = e.tenant_id AND j.journal_id = e.journal_id
        WHERE (after_journal IS NULL OR (e.journal_id, e.line) > (after_journal, after_line))
          AND j.xid < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY e.journal_id, e.line
        LIMIT least(page_size, 1000)
    )
    SELECT p.journal_id, p.line, p.amount_minor,
           ((SELECT total FROM opening) + sum(p.amount_minor) OVER (ORDER BY p.journal_id, p.line))::bigint,
           p.key, p.kind, p.description, p.effective_at, p.recorded_at, p.item
    FROM page p ORDER BY p.journal_id, p.line
$$;

REVOKE ALL ON FUNCTION ledger.statement FROM PUBLIC;
GRANT SELECT ON ledger.account_balances, ledger.trial_balance, ledger.open_items, ledger.discrepancies
    TO pardna_runtime;
GRANT EXECUTE ON FUNCTION ledger.statement TO pardna_runtime;
