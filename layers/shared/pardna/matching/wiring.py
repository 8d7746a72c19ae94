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
    from pardna.matching.break_pages import BreakPages
    from pardna.matching.break_work import BreakWork
    from pardna.matching.completeness import CheckRun
    from pardna.matching.consumer import StreamConsumer
    from pardna.matching.controlling import ControlRuns
    from pardna.matching.current_rules import CurrentRules
    from pardna.matching.decisions import AskSecondPerson, CarryOut, GoOn
    from pardna.matching.dynamodb import DynamoMatchState
    from pardna.matching.dynamodb_breaks import DynamoBreakBook
    from pardna.matching.dynamodb_desk import DynamoDesk, DynamoRuleBook
    from pardna.matching.dynamodb_runs import DynamoRunBook
    from pardna.matching.dynamodb_split import DynamoSplitState
    from pardna.matching.dynamodb_table import MatchTable
    from pardna.matching.lake_legs import S3LakeLegs
    from pardna.matching.match_pages import MatchPages
    from pardna.matching.online import MatchOnline
    from pardna.matching.people import HandMatching
    from pardna.matching.planning import PlanRun
    from pardna.matching.rule_trial import RuleTrials, TryRules
    from pardna.matching.rule_work import AliasWork, RuleList, RuleWork
    from pardna.matching.runs import Reconciliation
    from pardna.matching.s3 import S3RunFiles
    from pardna.matching.shards import MatchShard
    from pardna.matching.starting import ShowRuns, StartRuns
    from pardna.matching.stepfunctions import RunsOnStepFunctions
    from pardna.matching.stepfunctions_decisions import DecisionsOnStepFunctions
    from pardna.matching.summary import RunSummary
    from pardna.matching.unmatching import Unmatching


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
def check_run() -> CheckRun:
    """Compares the truth with the legs; for a function in the database's network."""
    from pardna.database.session import from_settings
    from pardna.matching.completeness import CheckCompleteness, CheckRun
    from pardna.matching.postgres import PostgresTruth

    def in_lake(tenant_id: str) -> set[str]:
        return {part.raw_sha256 for part in _lake().pending(tenant_id)}

    truth = PostgresTruth(from_settings(settings()))
    return CheckRun(CheckCompleteness(truth, match_state(), _online(), in_lake), utc_now)


@cache
def plan_run() -> PlanRun:
    """Plans runs, wave by wave; loads DuckDB."""
    from pardna.matching.planning import PlanRun

    return PlanRun(
        _run_book(), _files(), _split_state(), _lake(), current_rules().of, utc_now,
        settings().shard_legs_max,
    )  # fmt: skip


@cache
def match_shard() -> MatchShard:
    """Works on one shard; loads the engine."""
    from pardna.matching.engine import match
    from pardna.matching.shards import MatchShard
    from pardna.matching.split_shards import SplitShards

    parts = SplitShards(_split_state(), _files(), _lake())
    return MatchShard(match_state(), _run_book(), _files(), match, parts)


@cache
def reconciliation() -> Reconciliation:
    """Classifies, proves and judges runs."""
    from pardna.matching.runs import Reconciliation, Stores

    state = match_state()
    return Reconciliation(Stores(_run_book(), _files(), break_book(), state, state, state))


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

    return ShowRuns(_machine(), _run_book())


@cache
def control_runs() -> ControlRuns:
    """Stops and resumes runs."""
    from pardna.matching.controlling import ControlRuns

    return ControlRuns(_machine(), _run_book(), utc_now, uuid7)


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
    from pardna.matching.break_pages import BreakPages

    return BreakPages(break_book(), _desk(), current_rules().of, utc_now)


@cache
def break_book() -> DynamoBreakBook:
    """Breaks."""
    from pardna.matching.dynamodb_breaks import DynamoBreakBook

    return DynamoBreakBook(_table())


@cache
def hand_matching() -> HandMatching:
    """What people decide about matches."""
    return _hand_matching(second_person())


def _hand_matching(second: AskSecondPerson) -> HandMatching:
    from pardna.matching.people import HandMatching

    return HandMatching(_desk(), current_rules().of, second, utc_now)


@cache
def unmatching() -> Unmatching:
    """Takes matches back."""
    from pardna.matching.unmatching import Unmatching

    return Unmatching(_desk(), utc_now)


@cache
def break_work() -> BreakWork:
    """What people do about breaks."""
    return _break_work(second_person())


def _break_work(second: AskSecondPerson) -> BreakWork:
    from pardna.matching.break_work import BreakWork

    return BreakWork(_desk(), current_rules().of, second, _may_own, utc_now)


@cache
def rule_work() -> RuleWork:
    """What people do to rules."""
    return _rule_work(second_person())


def _rule_work(second: AskSecondPerson) -> RuleWork:
    from pardna.matching.rule_work import RuleWork

    return RuleWork(_desk(), rule_book(), second, utc_now)


@cache
def alias_work() -> AliasWork:
    """What people do to aliases."""
    from pardna.matching.rule_work import AliasWork

    return AliasWork(_desk(), rule_book(), utc_now)


@cache
def rule_list() -> RuleList:
    """Shows rules and aliases."""
    from pardna.matching.rule_work import RuleList

    return RuleList(rule_book())


@cache
def match_pages() -> MatchPages:
    """Lists and shows matches, and histories."""
    from pardna.matching.match_pages import MatchPages

    return MatchPages(match_state(), _desk())


@cache
def carry_out() -> CarryOut:
    """Does what a second person agreed to."""
    from pardna.approvals.dynamodb import DynamoApprovals
    from pardna.matching.decisions import AskSecondPerson, CarryOut, NobodyElse

    # A second person has decided already; what is carried out asks nobody.
    second = AskSecondPerson(_desk(), NobodyElse(), utc_now)
    verbs = {
        "match": _hand_matching(second).matched_by_two,
        "resolve": _break_work(second).resolved_by_two,
        "rules": _rule_work(second).agreed_by_two,
    }
    approvals = DynamoApprovals(client("dynamodb"), settings().need("workflow_table"))
    return CarryOut(_desk(), approvals, verbs, utc_now)


@cache
def rule_trials() -> RuleTrials:
    """Starts trials of rules and shows them."""
    from pardna.matching.rule_trial import RuleTrials

    return RuleTrials(_files(), _run_book(), _run_book(), _trials(), utc_now)


@cache
def try_rules() -> TryRules:
    """Carries a trial out; loads the engine."""
    from pardna.matching.engine import match
    from pardna.matching.rule_trial import TryRules

    return TryRules(match_state(), _run_book(), _files(), current_rules(), match)


def _may_own(principal: str, tenant_id: str) -> bool:
    """Whether somebody may look after a tenant's breaks."""
    from pardna.identity.wiring import access
    from pardna.runtime.errors import NotPermitted

    try:
        access().require(principal, tenant_id, "breaks.write")
    except NotPermitted:
        return False
    return True


@cache
def _desk() -> DynamoDesk:
    from pardna.matching.dynamodb_desk import DynamoDesk

    return DynamoDesk(_table(), match_state())


@cache
def second_person() -> AskSecondPerson:
    """Puts requests before a second person."""
    from pardna.matching.decisions import AskSecondPerson

    return AskSecondPerson(_desk(), _decisions(), utc_now)


@cache
def go_on() -> GoOn:
    """Sees to decisions that were left to wait."""
    from pardna.matching.decisions import GoOn

    return GoOn(_desk(), _decisions())


def _decisions() -> DecisionsOnStepFunctions:
    from pardna.matching.stepfunctions_decisions import DecisionsOnStepFunctions

    arn = settings().need("matching_decision_machine_arn")
    return DecisionsOnStepFunctions(client("stepfunctions"), arn, utc_now)


@cache
def _trials() -> RunsOnStepFunctions:
    from pardna.matching.stepfunctions import RunsOnStepFunctions

    return RunsOnStepFunctions(client("stepfunctions"), settings().need("rule_trial_machine_arn"))


@cache
def _split_state() -> DynamoSplitState:
    from pardna.matching.dynamodb_groups import GroupCommits
    from pardna.matching.dynamodb_split import ClaimingTable, DynamoSplitState

    table = ClaimingTable(settings().need("match_table"), settings().aws_region)
    return DynamoSplitState(table, GroupCommits(table, utc_now, uuid7), utc_now)


@cache
def _lake() -> S3LakeLegs:
    from pardna.matching.lake_legs import S3LakeLegs

    return S3LakeLegs(client("s3"), settings().need("lake_bucket"), _files())


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
def _machine() -> RunsOnStepFunctions:
    from pardna.matching.stepfunctions import RunsOnStepFunctions

    arn = settings().need("reconciliation_machine_arn")
    return RunsOnStepFunctions(client("stepfunctions"), arn)


@cache
def _table() -> MatchTable:
    from pardna.matching.dynamodb_table import MatchTable

    return MatchTable(settings().need("match_table"), settings().aws_region)
