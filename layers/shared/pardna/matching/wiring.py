"""The composition root of matching: services from settings, each made once per process."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from pardna.runtime.clients import client
from pardna.runtime.clock import utc_now, uuid7
from pardna.runtime.settings import settings

if TYPE_CHECKING:
    from pardna.matching.completeness import CheckCompleteness
    from pardna.matching.consumer import StreamConsumer
    from pardna.matching.current_rules import CurrentRules
    from pardna.matching.dynamodb import DynamoMatchState
    from pardna.matching.dynamodb_desk import DynamoRuleBook
    from pardna.matching.dynamodb_runs import DynamoBreakBook, DynamoRunBook
    from pardna.matching.dynamodb_table import MatchTable
    from pardna.matching.online import MatchOnline
    from pardna.matching.runs import Reconciliation
    from pardna.matching.s3 import S3RunFiles
    from pardna.matching.shards import MatchShard
    from pardna.matching.starting import ShowRuns, StartRuns
    from pardna.matching.stepfunctions import ReconciliationMachine
    from pardna.matching.summary import BreakPages, RunSummary


@cache
def current_rules() -> CurrentRules:
    """Every tenant's rules."""
    from pardna.matching.current_rules import CurrentRules

    return CurrentRules(rule_book(), time.monotonic)


@cache
def rule_book() -> DynamoRuleBook:
    """The versions of rules, and aliases."""
    from pardna.matching.dynamodb_desk import DynamoRuleBook

    return DynamoRuleBook(_table())


@cache
def stream_consumer() -> StreamConsumer:
    """Takes the transaction stream in."""
    from pardna.matching.consumer import StreamConsumer
    from pardna.matching.sqs import PoisonQueue

    poison = PoisonQueue(client("sqs"), settings().need("match_online_poison_queue_url"))
    return StreamConsumer(_online(), poison)


@cache
def check_completeness() -> CheckCompleteness:
    """Compares the truth with the legs; for a function in the database's network."""
    from pardna.database.session import from_settings
    from pardna.matching.completeness import CheckCompleteness
    from pardna.matching.postgres import PostgresTruth

    truth = PostgresTruth(from_settings(settings()))
    return CheckCompleteness(truth, match_state(), _online())


@cache
def match_shard() -> MatchShard:
    """Works on one shard; loads the engine."""
    from pardna.matching.engine import match
    from pardna.matching.shards import MatchShard

    return MatchShard(match_state(), _run_book(), _files(), match)


@cache
def reconciliation() -> Reconciliation:
    """Plans, classifies, proves and judges runs."""
    from pardna.matching.runs import Reconciliation, Stores

    stores = Stores(
        _run_book(),
        _files(),
        break_book(),
        match_state(),
        match_state(),
        match_state(),
        match_state(),
    )
    return Reconciliation(stores, current_rules().of, utc_now)


@cache
def run_summary() -> RunSummary:
    """Closes runs."""
    from pardna.matching.summary import RunSummary

    return RunSummary(_run_book(), utc_now)


@cache
def start_runs() -> StartRuns:
    """Starts runs."""
    from pardna.matching.starting import StartRuns

    return StartRuns(_machine(), utc_now, uuid7)


@cache
def show_runs() -> ShowRuns:
    """Shows runs."""
    from pardna.matching.starting import ShowRuns
    from pardna.matching.summary import RunReader

    return ShowRuns(_machine(), RunReader(_run_book()))


def tenant_ids() -> Iterable[str]:
    """Every tenant, for the schedule."""
    from pardna.outbox.dynamodb import DynamoTenants

    return DynamoTenants(client("dynamodb"), settings().need("directory_table")).tenant_ids()


@cache
def match_state() -> DynamoMatchState:
    """Match state, and the reader of matches."""
    from pardna.matching.dynamodb import DynamoMatchState
    from pardna.matching.dynamodb_groups import GroupCommits

    return DynamoMatchState(_table(), GroupCommits(_table(), utc_now, uuid7), utc_now)


@cache
def break_pages() -> BreakPages:
    """Lists breaks."""
    from pardna.matching.summary import BreakPages

    return BreakPages(break_book())


@cache
def break_book() -> DynamoBreakBook:
    """Breaks."""
    from pardna.matching.dynamodb_runs import DynamoBreakBook

    return DynamoBreakBook(_table())


@cache
def _run_book() -> DynamoRunBook:
    from pardna.matching.dynamodb_runs import DynamoRunBook

    return DynamoRunBook(_table())


@cache
def _online() -> MatchOnline:
    from pardna.matching.online import MatchOnline

    return MatchOnline(match_state(), current_rules().remembered)


@cache
def _files() -> S3RunFiles:
    from pardna.matching.s3 import S3RunFiles

    return S3RunFiles(client("s3"), settings().need("lake_bucket"))


@cache
def _machine() -> ReconciliationMachine:
    from pardna.matching.stepfunctions import ReconciliationMachine

    return ReconciliationMachine(
        client("stepfunctions"), settings().need("reconciliation_machine_arn")
    )


@cache
def _table() -> MatchTable:
    from pardna.matching.dynamodb_table import MatchTable

    return MatchTable(settings().need("match_table"), settings().aws_region)
