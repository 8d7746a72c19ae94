-- Amounts that no account can hold are refused by themselves, as any other refusal is: one of them in
-- a batch must not sink its neighbours, and no sum of balances may pass what a bigint holds.

-- 2^57 on each of at most 64 rows of a split account adds up to less than 2^63.
ALTER TABLE ledger.balances ADD CONSTRAINT balances_bounded CHECK (
    debits_minor < 144115188075855872 AND credits_minor < 144115188075855872
    AND held_debits_minor < 144115188075855872 AND held_credits_minor < 144115188075855872);

ALTER FUNCTION ledger.post(jsonb, boolean) RENAME TO post_batch;
REVOKE ALL ON FUNCTION ledger.post_batch FROM pardna_runtime;
ALTER FUNCTION ledger.hold(jsonb) RENAME TO hold_batch;
REVOKE ALL ON FUNCTION ledger.hold_batch FROM pardna_runtime;

-- As ledger.post_batch, and code `overflow`. A batch that overflows is undone and posted in halves,
-- down to the journal that does it; all or nothing, it is refused as a whole.
CREATE FUNCTION ledger.post(journals jsonb, all_or_nothing boolean DEFAULT false) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    half     CONSTANT integer := jsonb_array_length(journals) / 2;
    violated text;
BEGIN
    RETURN ledger.post_batch(journals, all_or_nothing);
EXCEPTION WHEN numeric_value_out_of_range OR check_violation THEN
    GET STACKED DIAGNOSTICS violated = CONSTRAINT_NAME;
    IF SQLSTATE = '23514' AND violated IS DISTINCT FROM 'balances_bounded' THEN
        RAISE;
    ELSIF all_or_nothing OR half = 0 THEN
        RETURN (SELECT jsonb_agg(jsonb_build_object('outcome', 'refused', 'code', 'overflow'))
                FROM jsonb_array_elements(journals));
    END IF;
    RETURN ledger.post(jsonb_path_query_array(journals, '$[0 to $to]', jsonb_build_object('to', half - 1)))
        || ledger.post(jsonb_path_query_array(journals, '$[$from to last]', jsonb_build_object('from', half)));
END
$$;

-- As ledger.hold_batch, and code `overflow`.
CREATE FUNCTION ledger.hold(holds jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    half     CONSTANT integer := jsonb_array_length(holds) / 2;
    violated text;
BEGIN
    RETURN ledger.hold_batch(holds);
EXCEPTION WHEN numeric_value_out_of_range OR check_violation THEN
    GET STACKED DIAGNOSTICS violated = CONSTRAINT_NAME;
    IF SQLSTATE = '23514' AND violated IS DISTINCT FROM 'balances_bounded' THEN
        RAISE;
    ELSIF half = 0 THEN
        RETURN '[{"outcome": "refused", "code": "overflow"}]';
    END IF;
    RETURN ledger.hold(jsonb_path_query_array(holds, '$[0 to $to]', jsonb_build_object('to', half - 1)))
        || ledger.hold(jsonb_path_query_array(holds, '$[$from to last]', jsonb_build_object('from', half)));
END
$$;

REVOKE ALL ON FUNCTION ledger.post, ledger.hold FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.post, ledger.hold TO pardna_runtime;
