-- Tamper evidence: blocks of journals, each with a Merkle root over the journals' whole content,
-- chained by the hash of the block before. Whoever keeps one block's hash somewhere else can prove
-- later that nothing up to it was changed, and any single journal with a proof of a few hashes.
--
-- Journals are taken in the order (xid, journal_id), below pg_snapshot_xmin: every transaction with a
-- lower number has ended, so a sealed range never gains a journal, and writers never wait for sealing.
-- A transaction that stays open for long holds sealing back (alarm on ledger.seal_lag). A logical
-- restore into a cluster with lower transaction numbers must come after sealing everything; sealing
-- refuses to go on otherwise.

CREATE INDEX journals_in_order ON ledger.journals (tenant_id, xid, journal_id);

CREATE TABLE ledger.blocks (
    tenant_id      text        NOT NULL,
    height         bigint      NOT NULL CHECK (height >= 1),
    from_xid       xid8        NOT NULL,
    to_xid         xid8        NOT NULL,   -- exclusive
    journals       integer     NOT NULL CHECK (journals >= 1),
    root           bytea       NOT NULL CHECK (octet_length(root) = 32),
    previous       bytea       NOT NULL CHECK (octet_length(previous) = 32),
    hash           bytea       NOT NULL CHECK (octet_length(hash) = 32),
    leaves         bytea       NOT NULL CHECK (octet_length(leaves) = 32 * journals),
    sealed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, height)
);
SELECT app.protect('ledger.blocks');
SELECT app.make_append_only('ledger.blocks');
GRANT SELECT ON ledger.blocks TO pardna_runtime;

-- A netstring: length in bytes (the database is UTF-8), colon, text, comma. A list of them reads in one
-- way only. STABLE, as what they call, or the planner would not inline them.
CREATE FUNCTION ledger.net(value text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT octet_length(coalesce(value, '')) || ':' || coalesce(value, '') || ','
$$;

CREATE FUNCTION ledger.instant(moment timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- Journals of a range of transactions in the order of sealing, each as text fields in a fixed order
-- (its lines follow each other) and as its leaf. Leaves and nodes are told apart by their first byte
-- (as in RFC 6962), so neither passes for the other.
CREATE FUNCTION ledger.journals_between(from_xid xid8, to_xid xid8)
RETURNS TABLE (journal_id uuid, fields text[], leaf bytea)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT j.journal_id, f.fields, sha256('\x00'::bytea || convert_to(n.body, 'UTF8'))
    FROM ledger.journals j
    CROSS JOIN LATERAL (
        SELECT ARRAY['pardna-journal-1', j.tenant_id, j.journal_id::text, j.key, j.kind,
                     ledger.instant(j.effective_at), ledger.instant(j.original_at),
                     ledger.instant(j.recorded_at), j.line_count::text, j.description, j.refs::text,
                     j.metadata::text, j.reverses::text, j.posted_by, j.xid::text]
            || array_agg(l.field ORDER BY e.line, l.number) AS fields
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

-- Root of a Merkle tree; an odd node moves up a level as it is, which is RFC 6962's tree.
CREATE FUNCTION ledger.merkle_root(leaves bytea[]) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    level bytea[] := leaves;
BEGIN
    WHILE cardinality(level) > 1 LOOP
        level := (
            SELECT array_agg(CASE WHEN p.hash_right IS NULL THEN p.hash_left
                             ELSE sha256('\x01'::bytea || p.hash_left || p.hash_right) END ORDER BY p.pair)
            FROM (
                SELECT i / 2 AS pair, level[i + 1] AS hash_left, level[i + 2] AS hash_right
                FROM generate_series(0, cardinality(level) - 1, 2) i
            ) p);
    END LOOP;
    RETURN level[1];
END
$$;

-- Seal the next block of at most about `most` journals (a transaction is never split). Returns its
-- height, or null when nothing is settled. One sealer a tenant; others return null at once.
CREATE FUNCTION ledger.seal(most integer DEFAULT 4096) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    me       CONSTANT text := app.tenant();
    settled  CONSTANT xid8 := pg_snapshot_xmin(pg_current_snapshot());
    last     ledger.blocks;
    upper    xid8;
    hashes   bytea[];
    block    ledger.blocks;
BEGIN
    IF me IS NULL THEN
        RAISE EXCEPTION 'no tenant entered' USING errcode = 'insufficient_privilege';
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtextextended('ledger.seal:' || me, 0)) THEN
        RETURN NULL;
    END IF;
    SELECT * INTO last FROM ledger.blocks b WHERE b.tenant_id = me ORDER BY b.height DESC LIMIT 1;
    IF last.to_xid > settled AND last.to_xid > pg_current_xact_id() THEN
        RAISE EXCEPTION 'transaction numbers have gone back: restored without sealing first?'
            USING errcode = 'object_not_in_prerequisite_state';
    END IF;
    block.from_xid := coalesce(last.to_xid, '0'::xid8);
    SELECT j.xid INTO upper FROM ledger.journals j
    WHERE j.tenant_id = me AND j.xid >= block.from_xid AND j.xid < settled
    ORDER BY j.xid, j.journal_id OFFSET greatest(most, 1) - 1 LIMIT 1;
    block.to_xid := CASE WHEN upper IS NULL THEN settled ELSE (upper::text::numeric + 1)::text::xid8 END;
    hashes := (SELECT array_agg(x.leaf ORDER BY x.place)
               FROM (SELECT j.leaf, row_number() OVER () AS place
                     FROM ledger.journals_between(block.from_xid, block.to_xid) j) x);
    IF hashes IS NULL THEN
        RETURN NULL;
    END IF;
    block.height := coalesce(last.height, 0) + 1;
    block.journals := cardinality(hashes);
    block.root := ledger.merkle_root(hashes);
    block.previous := coalesce(last.hash, sha256(''));
    block.hash := sha256(convert_to(ledger.net('pardna-block-1') || ledger.net(me)
        || ledger.net(block.height::text) || ledger.net(block.from_xid::text)
        || ledger.net(block.to_xid::text) || ledger.net(block.journals::text)
        || ledger.net(encode(block.root, 'hex')) || ledger.net(encode(block.previous, 'hex')), 'UTF8'));
    INSERT INTO ledger.blocks (tenant_id, height, from_xid, to_xid, journals, root, previous, hash, leaves)
    VALUES (me, block.height, block.from_xid, block.to_xid, block.journals, block.root, block.previous,
            block.hash, (SELECT string_agg(h, ''::bytea ORDER BY n) FROM unnest(hashes) WITH ORDINALITY u (h, n)));
    RETURN block.height;
END
$$;

-- How long the oldest journal without a block has been waiting; null when all are sealed.
CREATE FUNCTION ledger.seal_lag() RETURNS interval
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT clock_timestamp() - (
        SELECT j.recorded_at FROM ledger.journals j
        WHERE j.tenant_id = app.tenant() AND j.xid >= coalesce((SELECT max(b.to_xid)
            FROM ledger.blocks b WHERE b.tenant_id = app.tenant()), '0'::xid8)
        ORDER BY j.xid, j.journal_id LIMIT 1)
$$;

-- The journals of a block as fields, in the order of its leaves: what an export holds.
CREATE FUNCTION ledger.block_journals(block_height bigint)
RETURNS TABLE (journal_id uuid, fields text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT j.journal_id, j.fields
    FROM ledger.blocks b
    CROSS JOIN LATERAL ledger.journals_between(b.from_xid, b.to_xid) j
    WHERE b.tenant_id = app.tenant() AND b.height = block_height
$$;

-- The block that holds a journal; null when it is not sealed yet.
CREATE FUNCTION ledger.block_of(journal uuid) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT b.height FROM ledger.journals j
    JOIN ledger.blocks b ON b.tenant_id = j.tenant_id AND j.xid >= b.from_xid AND j.xid < b.to_xid
    WHERE j.tenant_id = app.tenant() AND j.journal_id = journal
$$;

REVOKE ALL ON FUNCTION ledger.net, ledger.instant, ledger.journals_between,
    ledger.merkle_root, ledger.seal, ledger.seal_lag, ledger.block_journals, ledger.block_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.seal, ledger.seal_lag, ledger.block_journals, ledger.block_of
    TO pardna_runtime;
