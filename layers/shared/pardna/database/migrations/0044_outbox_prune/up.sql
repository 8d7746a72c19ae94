-- The outbox is a way out and no archive: what left long ago is deleted, what has not left never is.

CREATE INDEX outbox_sent ON platform.outbox (tenant_id, sent_at) WHERE sent_at IS NOT NULL;

CREATE POLICY keep_unsent ON platform.outbox AS RESTRICTIVE FOR DELETE TO pardna_runtime
    USING (sent_at < now() - interval '1 day');
GRANT DELETE ON platform.outbox TO pardna_runtime;
