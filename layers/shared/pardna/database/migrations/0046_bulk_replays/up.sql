-- Large deliveries are replayed: read and recorded again, beside what the first reading wrote down.
--
-- `replay_id` names the request, and is empty for the first reading.

ALTER TABLE platform.bulk_parts
    DROP CONSTRAINT bulk_parts_tenant_id_raw_sha256_fkey,
    DROP CONSTRAINT bulk_parts_pkey,
    ADD COLUMN replay_id text NOT NULL DEFAULT '' CHECK (replay_id ~ '^[0-9a-f]{0,64}$');

ALTER TABLE platform.bulk_deliveries
    DROP CONSTRAINT bulk_deliveries_pkey,
    ADD COLUMN replay_id text NOT NULL DEFAULT '' CHECK (replay_id ~ '^[0-9a-f]{0,64}$'),
    ADD PRIMARY KEY (tenant_id, raw_sha256, replay_id);

ALTER TABLE platform.bulk_parts
    ADD PRIMARY KEY (tenant_id, raw_sha256, replay_id, part),
    ADD FOREIGN KEY (tenant_id, raw_sha256, replay_id)
        REFERENCES platform.bulk_deliveries (tenant_id, raw_sha256, replay_id);
