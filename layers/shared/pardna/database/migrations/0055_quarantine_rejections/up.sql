-- A proposal about quarantined rows ends in three ways: a second person confirms or rejects it, or who
-- made it takes it back. Nobody takes back another's. Ends of before (NOT VALID) stay as they are.
ALTER TABLE platform.quarantine_decisions
    DROP CONSTRAINT quarantine_decisions_state_check,
    ADD CONSTRAINT quarantine_decisions_state_check CHECK (state IN
        ('proposed', 'done', 'withdrawn', 'rejected')),
    ADD CONSTRAINT quarantine_decisions_withdrawn_by_proposer CHECK (
        state <> 'withdrawn' OR decided_by = proposed_by) NOT VALID,
    ADD CONSTRAINT quarantine_decisions_rejected_by_another CHECK (
        state <> 'rejected' OR decided_by <> proposed_by);
