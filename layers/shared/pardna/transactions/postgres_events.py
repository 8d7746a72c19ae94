"""Webhook events in PostgreSQL (``platform.webhook_events``): the first delivery that counts wins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from psycopg import Connection

from pardna.transactions.ports import Batch, DeliveryStatus, of_known_event


def claim(connection: Connection[Any], tenant_id: str, batch: Batch) -> Batch:
    """The batch as it counts: whole, or as a duplicate of an event that other bytes told of before.

    In an open, tenant-entered transaction. Of two at once the second waits here for the first.
    """
    delivery = batch.delivery
    if delivery is None or not delivery.event_id or not delivery.counts:
        return batch
    event = (tenant_id, delivery.source_id, delivery.event_id)
    connection.execute(
        "INSERT INTO platform.webhook_events (tenant_id, source_id, event_id, raw_sha256)"
        " VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (*event, delivery.raw_sha256),
    )
    row = connection.execute(
        "SELECT raw_sha256 FROM platform.webhook_events"
        " WHERE tenant_id = %s AND source_id = %s AND event_id = %s",
        event,
    ).fetchone()
    if row is None or row[0] == delivery.raw_sha256:
        return batch
    return replace(
        Batch(batch.correlation_id),
        delivery=replace(delivery, status=DeliveryStatus.DUPLICATE, problems=(of_known_event(),)),
    )
