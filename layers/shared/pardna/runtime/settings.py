"""The environment, parsed once per cold start. Nothing else in the product reads it."""

from __future__ import annotations

import os
from functools import cache

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pardna.runtime.errors import InvalidInput


class Settings(BaseModel):
    """What a function is told. A name that a function does not need stays empty.

    Field names are the environment variables in lower case. `database_url` is for homes without
    IAM (a laptop); in AWS host, port, name and user are given and a token is signed per connection.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pardna_stage: str = "local"
    aws_region: str = "us-east-1"

    database_url: str = Field(default="", repr=False)
    database_host: str = ""
    database_port: int = 5432
    database_name: str = "pardna"
    database_user: str = "pardna_runtime"
    # Given to the function that migrates, and to no other.
    database_admin_url: str = Field(default="", repr=False)
    database_admin_user: str = ""

    raw_bucket: str = ""
    arrivals_bucket: str = ""
    lake_bucket: str = ""
    packs_bucket: str = ""

    match_table: str = ""
    workflow_table: str = ""
    idempotency_table: str = ""
    outbox_table: str = ""
    directory_table: str = ""

    transactions_stream: str = ""
    stage_delivery_queue_url: str = ""
    record_part_queue_url: str = ""
    post_delivery_queue_url: str = ""
    normalise_queue_url: str = ""
    charge_card_queue_url: str = ""
    notification_queue_url: str = ""
    post_transactions_poison_queue_url: str = ""
    match_online_poison_queue_url: str = ""
    post_matches_poison_queue_url: str = ""

    # Legs of one shard of a run; a pair with more open legs is split.
    shard_legs_max: int = 200_000
    # Whole months before this one that stay in the database; 0 archives nothing.
    ledger_months_kept: int = Field(default=0, ge=0)

    reconciliation_machine_arn: str = ""
    payout_round_machine_arn: str = ""
    matching_decision_machine_arn: str = ""
    rule_trial_machine_arn: str = ""

    # Sources' own schedules: where they are kept, as whom they act, and what they may call.
    source_schedule_group: str = ""
    source_schedule_role_arn: str = ""
    failed_invocations_queue_arn: str = ""
    poll_provider_arn: str = ""
    pull_files_arn: str = ""
    fetch_mail_arn: str = ""

    stripe_api_base: str = "https://api.stripe.com"
    stripe_settlement_base: str = ""
    notification_sender: str = ""
    alarm_topic_arn: str = ""

    def need(self, name: str) -> str:
        """The value of `name`, which this function cannot do without; raises InvalidInput."""
        value = str(getattr(self, name))
        if not value:
            raise InvalidInput("settings.missing", f"{name.upper()} is not set for this function")
        return value


def parse(environment: dict[str, str]) -> Settings:
    """Settings from an environment; raises InvalidInput naming the variable that is wrong."""
    known = {n: environment[n.upper()] for n in Settings.model_fields if environment.get(n.upper())}
    try:
        return Settings.model_validate(known)
    except ValidationError as error:
        names = ", ".join(str(e["loc"][0]).upper() for e in error.errors())
        raise InvalidInput("settings.invalid", f"cannot read {names}") from None


@cache
def settings() -> Settings:
    """This process's settings."""
    return parse(dict(os.environ))
