-- A peer: the shape that plain-SQL ledgers publish, written anew for this comparison. One transfer a
-- call, the two accounts locked in id order, entries that carry the balance before and after.
CREATE SCHEMA peer;
CREATE TABLE peer.accounts (
    id       bigint PRIMARY KEY,
    currency text NOT NULL,
    balance  numeric NOT NULL DEFAULT 0,
    version  bigint NOT NULL DEFAULT 0
);
CREATE TABLE peer.transfers (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    from_id    bigint NOT NULL REFERENCES peer.accounts (id),
    to_id      bigint NOT NULL REFERENCES peer.accounts (id),
    amount     numeric NOT NULL CHECK (amount > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    event_at   timestamptz NOT NULL,
    CHECK (from_id <> to_id)
);
CREATE INDEX ON peer.transfers (from_id);
CREATE INDEX ON peer.transfers (to_id);
CREATE TABLE peer.entries (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id       bigint NOT NULL REFERENCES peer.accounts (id),
    transfer_id      bigint NOT NULL REFERENCES peer.transfers (id),
    amount           numeric NOT NULL,
    previous_balance numeric NOT NULL,
    current_balance  numeric NOT NULL,
    account_version  bigint NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON peer.entries (account_id);
CREATE INDEX ON peer.entries (transfer_id);

CREATE FUNCTION peer.transfer(from_account bigint, to_account bigint, amount numeric) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    giver   peer.accounts;
    taker   peer.accounts;
    made    bigint;
BEGIN
    PERFORM FROM peer.accounts WHERE id IN (from_account, to_account) ORDER BY id FOR UPDATE;
    INSERT INTO peer.transfers (from_id, to_id, amount, event_at)
    VALUES (from_account, to_account, amount, now()) RETURNING id INTO made;
    UPDATE peer.accounts SET balance = balance - amount, version = version + 1
    WHERE id = from_account RETURNING * INTO giver;
    UPDATE peer.accounts SET balance = balance + amount, version = version + 1
    WHERE id = to_account RETURNING * INTO taker;
    IF giver.currency <> taker.currency THEN
        RAISE EXCEPTION 'currencies differ';
    END IF;
    INSERT INTO peer.entries (account_id, transfer_id, amount, previous_balance, current_balance, account_version)
    VALUES (from_account, made, -amount, giver.balance + amount, giver.balance, giver.version),
           (to_account, made, amount, taker.balance - amount, taker.balance, taker.version);
    RETURN made;
END
$$;
INSERT INTO peer.accounts (id, currency) SELECT n, 'JMD' FROM generate_series(1, 10000) n;

-- The limits: a row as small as an entry, one by one and by COPY.
CREATE TABLE peer.plain (
    tenant_id text NOT NULL, journal_id uuid NOT NULL, line smallint NOT NULL, account_id bigint NOT NULL,
    amount_minor bigint NOT NULL, currency text NOT NULL,
    PRIMARY KEY (tenant_id, journal_id, line)
);
