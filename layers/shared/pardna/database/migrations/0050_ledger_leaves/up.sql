-- Sealing for less than half of what it cost: a block's leaves are made without taking each journal apart
-- into an array of fields and putting it together again, and the tree is built on packed hashes. The
-- bytes that are hashed, and so leaves, roots and blocks, are those of migrations 0034 and 0037.

-- The leaves (32 bytes each, one behind the other) of a range of transactions in the order of sealing, or
-- null when it has no journals. Must hash what ledger.journals_between shows: an export holds only then.
--
-- Columns become text in a subquery of their own (OFFSET 0), or each would be worked out as often as
-- ledger.net names it. Entries are looked for only in the months of the block's journals. Planner
-- settings: as for ledger.post.
CREATE FUNCTION ledger.leaves_between(from_xid xid8, to_xid xid8) RETURNS bytea
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    me      CONSTANT text := app.tenant();
    lowest  uuid;
    highest uuid;
BEGIN
    SELECT i.ids[1], i.ids[cardinality(i.ids)] INTO lowest, highest
    FROM (SELECT array_agg(x.journal_id ORDER BY x.journal_id) AS ids FROM ledger.journals x
          WHERE x.tenant_id = me
            AND x.xid >= leaves_between.from_xid AND x.xid < leaves_between.to_xid) i;
    RETURN (
        SELECT string_agg(sha256('\x00'::bytea || convert_to(
                   CASE WHEN j.committed IS NULL THEN '16:pardna-journal-1,' ELSE '16:pardna-journal-2,' END
                   || ledger.net(j.tenant_id) || ledger.net(j.id) || ledger.net(j.key) || ledger.net(j.kind)
                   || ledger.net(j.effective_at) || ledger.net(j.original_at) || ledger.net(j.recorded_at)
                   || ledger.net(j.line_count)
                   || CASE WHEN j.committed IS NULL
                      THEN ledger.net(j.description) || ledger.net(j.refs) || ledger.net(j.metadata)
                      ELSE ledger.net(j.committed) END
                   || ledger.net(j.reverses) || ledger.net(j.posted_by) || ledger.net(j.xid)
                   || coalesce(l.lines, ''), 'UTF8')), ''::bytea)
        FROM (
            SELECT x.tenant_id, x.journal_id, x.journal_id::text AS id, x.key, x.kind,
                   ledger.instant(x.effective_at) AS effective_at,
                   ledger.instant(x.original_at) AS original_at,
                   ledger.instant(x.recorded_at) AS recorded_at, x.line_count::text AS line_count,
                   x.description, x.refs::text AS refs, x.metadata::text AS metadata,
                   encode(coalesce(x.commitment, CASE WHEN x.salt IS NOT NULL THEN
                       ledger.commitment(x.salt, x.description, x.refs, x.metadata) END), 'hex') AS committed,
                   x.reverses::text AS reverses, x.posted_by, x.xid::text AS xid
            FROM ledger.journals x
            WHERE x.tenant_id = me
              AND x.xid >= leaves_between.from_xid AND x.xid < leaves_between.to_xid
            ORDER BY x.xid, x.journal_id OFFSET 0
        ) j
        CROSS JOIN LATERAL (
            SELECT string_agg(ledger.net(e.line) || ledger.net(e.account_id) || ledger.net(e.code)
                       || ledger.net(e.amount_minor) || ledger.net(e.currency) || ledger.net(e.item)
                       || ledger.net(e.effective_day), '') AS lines
            FROM (
                SELECT y.line::text AS line, y.account_id::text AS account_id, a.code,
                       y.amount_minor::text AS amount_minor, y.currency, y.item,
                       y.effective_day::text AS effective_day
                FROM ledger.entries y
                LEFT JOIN LATERAL (SELECT c.code FROM ledger.accounts c
                    WHERE c.tenant_id = y.tenant_id AND c.account_id = y.account_id LIMIT 1) a ON true
                WHERE y.tenant_id = j.tenant_id AND y.journal_id = j.journal_id
                  AND y.journal_id >= lowest AND y.journal_id <= highest
                ORDER BY y.line OFFSET 0
            ) e
        ) l
    );
END
$$;

-- Root of a Merkle tree over packed leaves; an odd node moves up a level as it is (RFC 6962's tree).
DROP FUNCTION ledger.merkle_root(bytea[]);
CREATE FUNCTION ledger.merkle_root(leaves bytea) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    level bytea := leaves;
BEGIN
    WHILE octet_length(level) > 32 LOOP
        level := (
            SELECT string_agg(CASE WHEN octet_length(p.pair) = 32 THEN p.pair
                              ELSE sha256('\x01'::bytea || p.pair) END, ''::bytea ORDER BY p.place)
            FROM (
                SELECT i AS place, substring(level FROM 64 * i + 1 FOR 64) AS pair
                FROM generate_series(0, (octet_length(level) - 1) / 64) i OFFSET 0
            ) p);
    END LOOP;
    RETURN level;
END
$$;

-- As before, on packed leaves.
CREATE OR REPLACE FUNCTION ledger.seal(most integer DEFAULT 4096) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    me       CONSTANT text := app.tenant();
    settled  CONSTANT xid8 := pg_snapshot_xmin(pg_current_snapshot());
    last     ledger.blocks;
    upper    xid8;
    block    ledger.blocks;
BEGIN
    IF me IS NULL THEN
        RAISE EXCEPTION 'no tenant entered' USING errcode = 'insufficient_privilege';
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtextextended('ledger.seal:' || me, 0)) THEN
        RETURN NULL;
    END IF;
    -- Without its leaves, which are large and looked at by nobody here.
    SELECT b.height, b.to_xid, b.hash INTO last.height, last.to_xid, last.hash
    FROM ledger.blocks b WHERE b.tenant_id = me ORDER BY b.height DESC LIMIT 1;
    IF last.to_xid > settled AND last.to_xid > pg_current_xact_id() THEN
        RAISE EXCEPTION 'transaction numbers have gone back: restored without sealing first?'
            USING errcode = 'object_not_in_prerequisite_state';
    END IF;
    block.from_xid := coalesce(last.to_xid, '0'::xid8);
    SELECT j.xid INTO upper FROM ledger.journals j
    WHERE j.tenant_id = me AND j.xid >= block.from_xid AND j.xid < settled
    ORDER BY j.xid OFFSET greatest(most, 1) - 1 LIMIT 1;
    block.to_xid := CASE WHEN upper IS NULL THEN settled ELSE (upper::text::numeric + 1)::text::xid8 END;
    block.leaves := ledger.leaves_between(block.from_xid, block.to_xid);
    IF block.leaves IS NULL THEN
        RETURN NULL;
    END IF;
    block.height := coalesce(last.height, 0) + 1;
    block.journals := octet_length(block.leaves) / 32;
    block.root := ledger.merkle_root(block.leaves);
    block.previous := coalesce(last.hash, sha256(''));
    block.hash := sha256(convert_to(ledger.net('pardna-block-1') || ledger.net(me)
        || ledger.net(block.height::text) || ledger.net(block.from_xid::text)
        || ledger.net(block.to_xid::text) || ledger.net(block.journals::text)
        || ledger.net(encode(block.root, 'hex')) || ledger.net(encode(block.previous, 'hex')), 'UTF8'));
    INSERT INTO ledger.blocks (tenant_id, height, from_xid, to_xid, journals, root, previous, hash, leaves)
    VALUES (me, block.height, block.from_xid, block.to_xid, block.journals, block.root, block.previous,
            block.hash, block.leaves);
    RETURN block.height;
END
$$;
REVOKE ALL ON FUNCTION ledger.leaves_between, ledger.merkle_root FROM PUBLIC;
