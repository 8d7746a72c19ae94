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

GRANT SELECT ON ledger.account_balances, ledger.trial_balance, ledger.open_items, ledger.discrepancies
    TO pardna_runtime;
