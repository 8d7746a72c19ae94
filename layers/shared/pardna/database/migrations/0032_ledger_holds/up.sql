-- Two-phase postings: reserve an amount now, then capture it (wholly or in part), void it, or let it
-- expire; exactly one of these, once, which the primary key of ledger.hold_ends enforces.
--
-- A hold moves nothing. It counts in held_debits/held_credits of both accounts, so that what is
-- reserved cannot be spent twice: an account's minimum is kept by balance less what is held.
-- An expired hold counts until ledger.expire_holds has swept it, but can no longer be captured.

CREATE TABLE ledger.holds (
    tenant_id      text        NOT NULL,
    hold_id        uuid        NOT NULL,
    key            text        NOT NULL CHECK (length(key) BETWEEN 1 AND 300),
    debit_id       bigint      NOT NULL,
    credit_id      bigint      NOT NULL,
    debit          text        NOT NULL,
    credit         text        NOT NULL,
    currency       text        NOT NULL,
    amount_minor   bigint      NOT NULL CHECK (amount_minor > 0),
    expires_at     timestamptz,
    description    text        NOT NULL DEFAULT '',
    refs           jsonb       NOT NULL DEFAULT '{}',
    held_at        timestamptz NOT NULL,
    held_by        text        NOT NULL,
    PRIMARY KEY (tenant_id, hold_id),
    UNIQUE (tenant_id, key),
    CHECK (debit_id <> credit_id)
);

CREATE TABLE ledger.hold_ends (
    tenant_id      text        NOT NULL,
    hold_id        uuid        NOT NULL,
    outcome        text        NOT NULL CHECK (outcome IN ('captured', 'voided', 'expired')),
    captured_minor bigint      NOT NULL CHECK (captured_minor >= 0),
    journal_id     uuid,
    ended_at       timestamptz NOT NULL,
    ended_by       text        NOT NULL,
    PRIMARY KEY (tenant_id, hold_id),
    FOREIGN KEY (tenant_id, hold_id) REFERENCES ledger.holds (tenant_id, hold_id),
    CHECK ((outcome = 'captured') = (captured_minor > 0)),
    CHECK ((outcome = 'captured') = (journal_id IS NOT NULL))
);

-- Holds that have not ended: what the sweep looks through instead of all there ever were.
CREATE TABLE ledger.open_holds (
    tenant_id      text NOT NULL,
    hold_id        uuid NOT NULL,
    expires_at     timestamptz,
    PRIMARY KEY (tenant_id, hold_id)
);
CREATE INDEX open_holds_by_expiry ON ledger.open_holds (tenant_id, expires_at);

SELECT app.protect(t::regclass)
FROM unnest(ARRAY['ledger.holds', 'ledger.hold_ends', 'ledger.open_holds']) t;
SELECT app.make_append_only(t::regclass) FROM unnest(ARRAY['ledger.holds', 'ledger.hold_ends']) t;
GRANT SELECT ON ledger.holds, ledger.hold_ends, ledger.open_holds TO pardna_runtime;

-- Lock the unsplit rows of these accounts' balances, in id order like everybody else.
CREATE FUNCTION ledger.lock_balances(accounts bigint[]) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT FROM (SELECT DISTINCT a FROM unnest(accounts) a WHERE a IS NOT NULL ORDER BY 1) t
    CROSS JOIN LATERAL (SELECT FROM ledger.balances b
        WHERE b.tenant_id = app.tenant() AND b.account_id = t.a AND b.shard = 0 FOR UPDATE) held
$$;

-- What an account could still give: balance less holds against it less its minimum; null: no limit.
CREATE FUNCTION ledger.headroom(account bigint) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE a.normal_side
        WHEN 'debit' THEN b.debits_minor - b.credits_minor - b.held_credits_minor
        ELSE b.credits_minor - b.debits_minor - b.held_debits_minor END - a.minimum_minor
    FROM ledger.accounts a
    JOIN ledger.balances b ON b.tenant_id = a.tenant_id AND b.account_id = a.account_id AND b.shard = 0
    WHERE a.tenant_id = app.tenant() AND a.account_id = account
$$;

-- Reserve. hold: {"key", "debit", "credit", "currency", "amount_minor", "expires_at"?,
-- "description"?, "refs"?}; outcome: {"outcome": "held" | "already_held", "hold_id"} or
-- {"outcome": "refused", "code"}: zero_amount, unknown_account, currency_mismatch, same_account,
-- below_minimum, already_expired, key_reused. One refused hold does not sink the others.
CREATE FUNCTION ledger.hold(holds jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    me      CONSTANT text := app.tenant();
    clock   CONSTANT timestamptz := clock_timestamp();
    answers jsonb := '[]';
    known   record;
    code    text;
    id      uuid;
    r       record;
BEGIN
    IF me IS NULL THEN
        RAISE EXCEPTION 'no tenant entered' USING errcode = 'insufficient_privilege';
    END IF;
    PERFORM ledger.lock_balances((
        SELECT array_agg(a.account_id) FROM jsonb_array_elements(holds) d
        JOIN ledger.accounts a ON a.tenant_id = me AND a.currency = d.value->>'currency'
            AND a.code IN (d.value->>'debit', d.value->>'credit')));
    FOR r IN
        SELECT d.ordinality, d.value, d.value->>'key' AS key, (d.value->>'amount_minor')::bigint AS amount,
               (d.value->>'expires_at')::timestamptz AS expires_at, x.account_id AS debit,
               y.account_id AS credit, x.normal_side AS debit_side, y.normal_side AS credit_side,
               sha256(convert_to('hold:' || (d.value->>'key'), 'UTF8')) AS digest,
               sha256(convert_to((d.value - 'key')::text, 'UTF8')) AS hash
        FROM jsonb_array_elements(holds) WITH ORDINALITY d
        LEFT JOIN ledger.accounts x ON x.tenant_id = me AND x.code = d.value->>'debit'
            AND x.currency = d.value->>'currency'
        LEFT JOIN ledger.accounts y ON y.tenant_id = me AND y.code = d.value->>'credit'
            AND y.currency = d.value->>'currency'
        ORDER BY d.ordinality
    LOOP
        SELECT o.journal_id AS hold_id, o.request_hash INTO known
        FROM ledger.once o WHERE o.tenant_id = me AND o.key_digest = r.digest;
        IF FOUND THEN
            answers := answers || CASE WHEN known.request_hash = r.hash
                THEN jsonb_build_object('outcome', 'already_held', 'hold_id', known.hold_id)
                ELSE jsonb_build_object('outcome', 'refused', 'code', 'key_reused') END;
            CONTINUE;
        END IF;
        code := CASE
            WHEN coalesce(r.amount, 0) <= 0 THEN 'zero_amount'
            WHEN r.debit IS NULL OR r.credit IS NULL THEN CASE WHEN (
                SELECT count(DISTINCT a.code) FROM ledger.accounts a WHERE a.tenant_id = me
                AND a.code IN (r.value->>'debit', r.value->>'credit')) = 2
                THEN 'currency_mismatch' ELSE 'unknown_account' END
            WHEN r.debit = r.credit THEN 'same_account'
            WHEN r.expires_at <= clock THEN 'already_expired'
            WHEN r.debit_side = 'credit' AND ledger.headroom(r.debit) < r.amount
              OR r.credit_side = 'debit' AND ledger.headroom(r.credit) < r.amount THEN 'below_minimum'
        END;
        IF code IS NOT NULL THEN
            answers := answers || jsonb_build_object('outcome', 'refused', 'code', code);
            CONTINUE;
        END IF;
        id := ledger.uuid7(clock, r.ordinality::integer);
        INSERT INTO ledger.once (tenant_id, key_digest, journal_id, request_hash)
        VALUES (me, r.digest, id, r.hash) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'raced a call with the same keys' USING errcode = 'serialization_failure';
        END IF;
        INSERT INTO ledger.holds (tenant_id, hold_id, key, debit_id, credit_id, debit, credit, currency,
            amount_minor, expires_at, description, refs, held_at, held_by)
        VALUES (me, id, r.key, r.debit, r.credit, r.value->>'debit', r.value->>'credit',
            r.value->>'currency', r.amount, r.expires_at, coalesce(r.value->>'description', ''),
            coalesce(r.value->'refs', '{}'), clock, app.principal());
        INSERT INTO ledger.open_holds (tenant_id, hold_id, expires_at) VALUES (me, id, r.expires_at);
        UPDATE ledger.balances b SET held_debits_minor = b.held_debits_minor + r.amount
        WHERE b.tenant_id = me AND b.account_id = r.debit AND b.shard = 0;
        UPDATE ledger.balances b SET held_credits_minor = b.held_credits_minor + r.amount
        WHERE b.tenant_id = me AND b.account_id = r.credit AND b.shard = 0;
        answers := answers || jsonb_build_object('outcome', 'held', 'hold_id', id);
    END LOOP;
    RETURN answers;
END
$$;

-- End one hold. `amount` is for captures: null captures all of it. Answers {"outcome": "captured" |
-- "voided" | "expired", "journal_id"?, "again": true?} or {"outcome": "refused", "code"}: unknown_hold,
-- already_captured, already_voided, already_expired, exceeds_hold, zero_amount, not_expired.
CREATE FUNCTION ledger.end_hold(hold_key text, action text, amount bigint DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    me     CONSTANT text := app.tenant();
    clock  CONSTANT timestamptz := clock_timestamp();
    h      ledger.holds;
    ended  ledger.hold_ends;
    taken  bigint;
    answer jsonb;
BEGIN
    IF action NOT IN ('captured', 'voided', 'expired') THEN
        RAISE EXCEPTION 'a hold is captured, voided or expired, not %', action USING errcode = '22023';
    END IF;
    SELECT * INTO h FROM ledger.holds x WHERE x.tenant_id = me AND x.key = hold_key;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('outcome', 'refused', 'code', 'unknown_hold');
    END IF;
    PERFORM ledger.lock_balances(ARRAY[h.debit_id, h.credit_id]);
    taken := CASE action WHEN 'captured' THEN coalesce(amount, h.amount_minor) ELSE 0 END;
    SELECT * INTO ended FROM ledger.hold_ends x WHERE x.tenant_id = me AND x.hold_id = h.hold_id;
    IF FOUND THEN
        IF ended.outcome = action AND ended.captured_minor = taken THEN
            RETURN jsonb_strip_nulls(jsonb_build_object(
                'outcome', action, 'journal_id', ended.journal_id, 'again', true));
        END IF;
        RETURN jsonb_build_object('outcome', 'refused', 'code', 'already_' || ended.outcome);
    END IF;
    IF action = 'expired' AND (h.expires_at IS NULL OR h.expires_at > clock) THEN
        RETURN jsonb_build_object('outcome', 'refused', 'code', 'not_expired');
    ELSIF action <> 'expired' AND h.expires_at <= clock THEN
        RETURN jsonb_build_object('outcome', 'refused', 'code', 'already_expired');
    ELSIF action = 'captured' AND taken <= 0 THEN
        RETURN jsonb_build_object('outcome', 'refused', 'code', 'zero_amount');
    ELSIF taken > h.amount_minor THEN
        RETURN jsonb_build_object('outcome', 'refused', 'code', 'exceeds_hold');
    END IF;

    UPDATE ledger.balances b SET held_debits_minor = b.held_debits_minor - h.amount_minor
    WHERE b.tenant_id = me AND b.account_id = h.debit_id AND b.shard = 0;
    UPDATE ledger.balances b SET held_credits_minor = b.held_credits_minor - h.amount_minor
    WHERE b.tenant_id = me AND b.account_id = h.credit_id AND b.shard = 0;
    DELETE FROM ledger.open_holds x WHERE x.tenant_id = me AND x.hold_id = h.hold_id;
    IF action = 'captured' THEN
        answer := ledger.post(jsonb_build_array(jsonb_build_object(
            'key', 'capture:' || h.key, 'kind', 'capture', 'description', h.description,
            'refs', h.refs || jsonb_build_object('hold', h.key),
            'lines', jsonb_build_array(
                jsonb_build_object('account', h.debit, 'currency', h.currency, 'amount_minor', taken),
                jsonb_build_object('account', h.credit, 'currency', h.currency, 'amount_minor', -taken))
        )), true)->0;
        IF answer->>'outcome' <> 'posted' THEN
            RAISE EXCEPTION 'capture of hold % was not posted: %', h.key, answer
                USING errcode = 'integrity_constraint_violation';
        END IF;
    END IF;
    INSERT INTO ledger.hold_ends (tenant_id, hold_id, outcome, captured_minor, journal_id, ended_at, ended_by)
    VALUES (me, h.hold_id, action, taken, (answer->>'journal_id')::uuid, clock, app.principal());
    RETURN jsonb_strip_nulls(jsonb_build_object('outcome', action, 'journal_id', answer->'journal_id'));
END
$$;

-- Sweep: end up to `most` holds whose time is over; returns how many. Repeat until it returns zero.
CREATE FUNCTION ledger.expire_holds(most integer DEFAULT 1000) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    due text[];
BEGIN
    SELECT array_agg(h.key) INTO due FROM (
        SELECT x.key FROM ledger.open_holds o
        JOIN ledger.holds x ON x.tenant_id = o.tenant_id AND x.hold_id = o.hold_id
        WHERE o.tenant_id = app.tenant() AND o.expires_at <= clock_timestamp()
        ORDER BY o.expires_at LIMIT least(most, 10000)
    ) h;
    RETURN coalesce((SELECT count(*) FROM unnest(due) key  -- not those that another sweep has ended
                     WHERE ledger.end_hold(key, 'expired') = '{"outcome": "expired"}'), 0);
END
$$;

REVOKE ALL ON FUNCTION ledger.lock_balances, ledger.headroom, ledger.hold, ledger.end_hold,
    ledger.expire_holds FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.hold, ledger.end_hold, ledger.expire_holds TO pardna_runtime;
