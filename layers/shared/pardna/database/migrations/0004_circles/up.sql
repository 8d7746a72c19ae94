-- Circles and the payments that they order.
--
-- What must never happen is refused here, whatever the code above does: a hand that draws twice, a
-- contribution that is owed twice, two payments for one draw, a payment that its requester approved,
-- a status that jumps. Rows are never deleted. Personal data is in columns called `personal` and
-- nowhere else; nothing logs them.

-- Which status may follow which, per kind of thing: data that the triggers below read.
-- An empty old status is what a thing is born with.
CREATE TABLE app.transitions (
    subject text NOT NULL,
    old_status text NOT NULL,
    new_status text NOT NULL,
    PRIMARY KEY (subject, old_status, new_status)
);

CREATE FUNCTION app.legal_transition() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before text := CASE TG_OP WHEN 'INSERT' THEN '' ELSE OLD.status END;
BEGIN
    IF NEW.status <> before AND NOT EXISTS (
        SELECT 1 FROM app.transitions t WHERE t.subject = TG_ARGV[0]
        AND t.old_status = before AND t.new_status = NEW.status) THEN
        RAISE EXCEPTION '% cannot go from "%" to "%"', TG_ARGV[0], before, NEW.status
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION app.legal_transition() FROM PUBLIC;

-- ---------------------------------------------------------------- payments

CREATE SCHEMA payments;

-- One file to a bank. `batch_id` is the file's name and its message id: a bank takes it once.
CREATE TABLE payments.batches (
    tenant_id text NOT NULL,
    batch_id text NOT NULL CHECK (batch_id ~ '^[A-Z0-9]{4,35}$'),
    source_id text NOT NULL,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    control_sum_minor bigint NOT NULL CHECK (control_sum_minor > 0),
    payments_count integer NOT NULL CHECK (payments_count > 0),
    requested_on date NOT NULL,
    file_key text NOT NULL,
    file_sha256 text NOT NULL CHECK (file_sha256 ~ '^[0-9a-f]{64}$'),
    file_bytes integer NOT NULL CHECK (file_bytes > 0),
    written_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, batch_id)
);

CREATE TABLE payments.payments (
    tenant_id text NOT NULL,
    payment_id text NOT NULL,
    -- What is paid, e.g. a draw: one payment for each, ever.
    origin text NOT NULL CHECK (length(origin) BETWEEN 3 AND 200),
    source_id text NOT NULL,
    end_to_end_id text NOT NULL CHECK (end_to_end_id ~ '^[A-Z0-9-]{1,35}$'),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    instruction text NOT NULL CHECK (instruction IN ('ach', 'rtgs', 'wire')),
    personal jsonb NOT NULL,
    remittance text NOT NULL DEFAULT '' CHECK (length(remittance) <= 140),
    -- Our own side of the movement, recorded when the instruction leaves.
    book_source text NOT NULL,
    book_external_id text NOT NULL,
    book_kind text NOT NULL,
    requested_by text NOT NULL CHECK (requested_by <> ''),
    approval_id text,
    approved_by text,
    batch_id text,
    status text NOT NULL CHECK (status IN ('instructed', 'written', 'uploaded', 'unclear',
        'accepted', 'rejected', 'confirmed', 'cancelled')),
    reason_code text NOT NULL DEFAULT '' CHECK (length(reason_code) <= 35),
    instructed_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, payment_id),
    UNIQUE (tenant_id, origin),
    UNIQUE (tenant_id, end_to_end_id),
    FOREIGN KEY (tenant_id, batch_id) REFERENCES payments.batches (tenant_id, batch_id),
    -- Nothing leaves without a file, and no file without a second person.
    CHECK (status IN ('instructed', 'cancelled')
           OR (batch_id IS NOT NULL AND approval_id IS NOT NULL AND approved_by IS NOT NULL)),
    CHECK (approved_by IS NULL OR approved_by <> requested_by)
);
CREATE INDEX payments_batch ON payments.payments (tenant_id, batch_id);

INSERT INTO app.transitions (subject, old_status, new_status)
VALUES ('payment', '', 'instructed'), ('payment', 'instructed', 'written'),
    ('payment', 'instructed', 'cancelled'),
    ('payment', 'written', 'uploaded'), ('payment', 'written', 'unclear'),
    -- A bank's answer can overtake our own record of the upload.
    ('payment', 'written', 'accepted'), ('payment', 'written', 'rejected'),
    ('payment', 'uploaded', 'unclear'), ('payment', 'uploaded', 'accepted'),
    ('payment', 'uploaded', 'rejected'), ('payment', 'unclear', 'uploaded'),
    ('payment', 'unclear', 'accepted'), ('payment', 'unclear', 'rejected'),
    ('payment', 'accepted', 'rejected'), ('payment', 'accepted', 'confirmed');
CREATE TRIGGER legal_transition BEFORE INSERT OR UPDATE ON payments.payments
    FOR EACH ROW EXECUTE FUNCTION app.legal_transition('payment');

-- Who approved a payment, and which file carried it, is said once.
CREATE FUNCTION payments.said_once() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF OLD.batch_id IS NOT NULL AND (NEW.batch_id, NEW.approval_id, NEW.approved_by)
       IS DISTINCT FROM (OLD.batch_id, OLD.approval_id, OLD.approved_by) THEN
        RAISE EXCEPTION 'payment %: its file and approval stand', OLD.payment_id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION payments.said_once() FROM PUBLIC;
CREATE TRIGGER said_once BEFORE UPDATE ON payments.payments
    FOR EACH ROW EXECUTE FUNCTION payments.said_once();

-- What a bank told that fits none of our payments: looked at by a person, never dropped.
CREATE TABLE payments.problems (
    tenant_id text NOT NULL,
    message_id text NOT NULL,
    end_to_end_id text NOT NULL DEFAULT '',
    bank_status text NOT NULL,
    code text NOT NULL,
    noticed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, message_id, end_to_end_id, bank_status, code)
);

-- ---------------------------------------------------------------- circles

CREATE SCHEMA circles;

CREATE TABLE circles.circles (
    tenant_id text NOT NULL,
    circle_id text NOT NULL CHECK (circle_id ~ '^cir-[0-9a-z]{8,40}$'),
    -- The caller's own name for it: the same request again finds the same circle.
    reference text NOT NULL,
    request_hash text NOT NULL CHECK (request_hash ~ '^[0-9a-f]{64}$'),
    code text NOT NULL CHECK (code ~ '^[A-Z0-9]{4}$'),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    hand_minor bigint NOT NULL CHECK (hand_minor > 0),
    frequency text NOT NULL CHECK (frequency IN ('weekly', 'fortnightly', 'monthly')),
    starts_on date NOT NULL,
    fee_model text NOT NULL CHECK (fee_model IN ('none', 'flat', 'bps', 'one_hand')),
    fee_value bigint NOT NULL DEFAULT 0 CHECK (fee_value >= 0),
    pot_model text NOT NULL CHECK (pot_model IN ('recipient_pays', 'recipient_skips')),
    shortfall text NOT NULL CHECK (shortfall IN ('wait', 'reduce')),
    grace_days integer NOT NULL CHECK (grace_days BETWEEN 0 AND 60),
    bank_source_id text NOT NULL,
    card_source_id text NOT NULL DEFAULT '',
    personal jsonb NOT NULL DEFAULT '{}',  -- where the banker is reached
    status text NOT NULL CHECK (status IN ('draft', 'recruiting', 'ready', 'active', 'paused',
        'completed', 'cancelled', 'dissolving', 'dissolved')),
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, circle_id),
    UNIQUE (tenant_id, reference),
    UNIQUE (tenant_id, code)
);

CREATE TABLE circles.members (
    tenant_id text NOT NULL,
    circle_id text NOT NULL,
    member_id text NOT NULL CHECK (member_id ~ '^[a-z0-9][a-z0-9-]{0,39}$'),
    rail text NOT NULL CHECK (rail IN ('card', 'bank')),
    card_customer_id text NOT NULL DEFAULT '',
    card_payment_method_id text NOT NULL DEFAULT '',
    personal jsonb NOT NULL,
    PRIMARY KEY (tenant_id, circle_id, member_id),
    FOREIGN KEY (tenant_id, circle_id) REFERENCES circles.circles (tenant_id, circle_id),
    CHECK (rail <> 'card' OR (card_customer_id <> '' AND card_payment_method_id <> ''))
);

-- One hand each: a double hand owns two. The position is the mark in payment references.
CREATE TABLE circles.slots (
    tenant_id text NOT NULL,
    circle_id text NOT NULL,
    position integer NOT NULL CHECK (position BETWEEN 1 AND 99),
    member_id text NOT NULL,
    PRIMARY KEY (tenant_id, circle_id, position),
    FOREIGN KEY (tenant_id, circle_id, member_id)
        REFERENCES circles.members (tenant_id, circle_id, member_id)
);

CREATE TABLE circles.rounds (
    tenant_id text NOT NULL,
    circle_id text NOT NULL,
    round_number integer NOT NULL CHECK (round_number BETWEEN 1 AND 99),
    due_on date NOT NULL,
    draw_position integer NOT NULL,
    status text NOT NULL CHECK (status IN ('scheduled', 'collecting', 'grace', 'funded',
        'short_funded', 'awaiting_approval', 'paying', 'paid', 'closed', 'held', 'returned')),
    opened_at timestamptz,
    closed_at timestamptz,
    PRIMARY KEY (tenant_id, circle_id, round_number),
    -- Every hand draws in exactly one round.
    UNIQUE (tenant_id, circle_id, draw_position),
    FOREIGN KEY (tenant_id, circle_id, draw_position)
        REFERENCES circles.slots (tenant_id, circle_id, position)
);

CREATE TABLE circles.contributions (
    tenant_id text NOT NULL,
    contribution_id text NOT NULL,
    circle_id text NOT NULL,
    round_number integer NOT NULL,
    position integer NOT NULL,
    member_id text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    rail text NOT NULL CHECK (rail IN ('card', 'bank')),
    payment_reference text NOT NULL,
    transaction_id uuid NOT NULL,
    due_on date NOT NULL,
    status text NOT NULL CHECK (status IN ('scheduled', 'pending', 'part_paid', 'paid', 'late',
        'missed', 'covered', 'waived', 'refunded', 'charged_back')),
    paid_at timestamptz,
    PRIMARY KEY (tenant_id, contribution_id),
    UNIQUE (tenant_id, circle_id, round_number, position),
    UNIQUE (tenant_id, payment_reference),
    UNIQUE (tenant_id, transaction_id),
    FOREIGN KEY (tenant_id, circle_id, round_number)
        REFERENCES circles.rounds (tenant_id, circle_id, round_number),
    FOREIGN KEY (tenant_id, circle_id, position)
        REFERENCES circles.slots (tenant_id, circle_id, position),
    FOREIGN KEY (tenant_id, circle_id, member_id)
        REFERENCES circles.members (tenant_id, circle_id, member_id)
);

CREATE TABLE circles.draws (
    tenant_id text NOT NULL,
    draw_id text NOT NULL,
    circle_id text NOT NULL,
    round_number integer NOT NULL,
    position integer NOT NULL,
    member_id text NOT NULL,
    pot_minor bigint NOT NULL CHECK (pot_minor > 0),
    fee_minor bigint NOT NULL CHECK (fee_minor >= 0),
    net_minor bigint NOT NULL CHECK (net_minor > 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    payment_id text NOT NULL,
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, draw_id),
    UNIQUE (tenant_id, circle_id, round_number),
    UNIQUE (tenant_id, circle_id, position),
    UNIQUE (tenant_id, payment_id),
    CHECK (pot_minor - fee_minor = net_minor),
    FOREIGN KEY (tenant_id, circle_id, round_number)
        REFERENCES circles.rounds (tenant_id, circle_id, round_number),
    FOREIGN KEY (tenant_id, circle_id, position)
        REFERENCES circles.slots (tenant_id, circle_id, position),
    FOREIGN KEY (tenant_id, payment_id) REFERENCES payments.payments (tenant_id, payment_id)
);

INSERT INTO app.transitions (subject, old_status, new_status)
VALUES ('circle', '', 'draft'), ('circle', '', 'ready'), ('round', '', 'scheduled'),
    ('contribution', '', 'scheduled'), ('contribution', '', 'pending'),
    ('circle', 'draft', 'recruiting'), ('circle', 'draft', 'ready'), ('circle', 'draft', 'cancelled'),
    ('circle', 'recruiting', 'ready'), ('circle', 'recruiting', 'cancelled'),
    ('circle', 'ready', 'active'), ('circle', 'ready', 'cancelled'),
    ('circle', 'active', 'paused'), ('circle', 'paused', 'active'), ('circle', 'active', 'completed'),
    ('circle', 'active', 'dissolving'), ('circle', 'paused', 'dissolving'),
    ('circle', 'dissolving', 'dissolved'),
    ('round', 'scheduled', 'collecting'), ('round', 'collecting', 'grace'),
    ('round', 'collecting', 'funded'), ('round', 'grace', 'funded'), ('round', 'grace', 'short_funded'),
    ('round', 'collecting', 'short_funded'), ('round', 'short_funded', 'funded'),
    -- Money can be taken back (an unmatch, a chargeback) until the draw is computed.
    ('round', 'funded', 'collecting'), ('round', 'funded', 'grace'), ('round', 'funded', 'short_funded'),
    ('round', 'funded', 'awaiting_approval'), ('round', 'short_funded', 'awaiting_approval'),
    ('round', 'awaiting_approval', 'paying'), ('round', 'awaiting_approval', 'held'),
    ('round', 'paying', 'paid'), ('round', 'paying', 'held'), ('round', 'paying', 'returned'),
    ('round', 'paid', 'closed'), ('round', 'paid', 'returned'),
    ('contribution', 'scheduled', 'pending'),
    ('contribution', 'pending', 'part_paid'), ('contribution', 'pending', 'paid'),
    ('contribution', 'pending', 'late'), ('contribution', 'pending', 'waived'),
    ('contribution', 'part_paid', 'paid'), ('contribution', 'part_paid', 'late'),
    ('contribution', 'late', 'part_paid'), ('contribution', 'late', 'paid'),
    ('contribution', 'late', 'missed'), ('contribution', 'late', 'covered'),
    ('contribution', 'late', 'waived'), ('contribution', 'missed', 'paid'),
    ('contribution', 'missed', 'covered'), ('contribution', 'covered', 'paid'),
    ('contribution', 'paid', 'pending'), ('contribution', 'paid', 'late'),
    ('contribution', 'paid', 'refunded'), ('contribution', 'paid', 'charged_back'),
    ('contribution', 'charged_back', 'pending'), ('contribution', 'charged_back', 'late'),
    ('contribution', 'charged_back', 'paid');
CREATE TRIGGER legal_transition BEFORE INSERT OR UPDATE ON circles.circles
    FOR EACH ROW EXECUTE FUNCTION app.legal_transition('circle');
CREATE TRIGGER legal_transition BEFORE INSERT OR UPDATE ON circles.rounds
    FOR EACH ROW EXECUTE FUNCTION app.legal_transition('round');
CREATE TRIGGER legal_transition BEFORE INSERT OR UPDATE ON circles.contributions
    FOR EACH ROW EXECUTE FUNCTION app.legal_transition('contribution');

-- A draw pays at most what its round has collected, whoever computes it. The round's row is locked,
-- so that no contribution can be taken back between this look and the commit.
CREATE FUNCTION circles.refuse_overdraw() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    funded bigint;
BEGIN
    PERFORM 1 FROM circles.rounds r WHERE r.tenant_id = NEW.tenant_id
        AND r.circle_id = NEW.circle_id AND r.round_number = NEW.round_number FOR UPDATE;
    SELECT coalesce(sum(c.amount_minor), 0) INTO funded FROM circles.contributions c
    WHERE c.tenant_id = NEW.tenant_id AND c.circle_id = NEW.circle_id
      AND c.round_number = NEW.round_number AND c.status IN ('paid', 'covered');
    IF NEW.pot_minor > funded THEN
        RAISE EXCEPTION 'a draw of % is more than the % that was collected', NEW.pot_minor, funded
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION circles.refuse_overdraw() FROM PUBLIC;
CREATE TRIGGER refuse_overdraw BEFORE INSERT ON circles.draws
    FOR EACH ROW EXECUTE FUNCTION circles.refuse_overdraw();

-- ---------------------------------------------------------------- who may do what

SELECT app.protect(t) FROM unnest(ARRAY[
    'payments.batches', 'payments.payments', 'payments.problems', 'circles.circles',
    'circles.members', 'circles.slots', 'circles.rounds', 'circles.contributions',
    'circles.draws']::regclass[]) AS t;
SELECT app.make_append_only(t) FROM unnest(ARRAY[
    'payments.batches', 'payments.problems', 'circles.slots', 'circles.draws']::regclass[]) AS t;

GRANT USAGE ON SCHEMA payments, circles TO pardna_runtime;
GRANT SELECT, INSERT ON payments.batches, payments.payments, payments.problems, circles.circles,
    circles.members, circles.slots, circles.rounds, circles.contributions, circles.draws
    TO pardna_runtime;
GRANT UPDATE (status, reason_code, batch_id, approval_id, approved_by, changed_at)
    ON payments.payments TO pardna_runtime;
GRANT UPDATE (status) ON circles.circles TO pardna_runtime;
GRANT UPDATE (status, opened_at, closed_at) ON circles.rounds TO pardna_runtime;
GRANT UPDATE (status, paid_at) ON circles.contributions TO pardna_runtime;
