"""Every function: one name everywhere, least privilege, nowhere to fail silently."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from pardna.runtime.settings import Settings
from tests.template.reading import (
    ROOT,
    as_list,
    environment,
    events_of,
    functions,
    handler_of,
    mentions,
    queues,
    statements,
    template,
)

FUNCTIONS = functions()
each_function = pytest.mark.parametrize("name", sorted(FUNCTIONS))

#: What a function in the VPC can reach at all: gateway endpoints, and the database by IAM.
REACHABLE_IN_VPC = {"dynamodb", "s3", "rds-db"}
#: Actions that know no resource, so that AWS demands the wildcard.
WITHOUT_RESOURCE = {"sns:Publish"}


def in_vpc(name: str) -> bool:
    """Whether a function sits in the private subnets (the SFTP functions behind NAT do not)."""
    return "PrivateSubnets" in json.dumps(FUNCTIONS[name].get("VpcConfig", {}))


@each_function
def test_one_name_everywhere(name: str) -> None:
    area, verb_noun = handler_of(FUNCTIONS[name])
    in_camel_case = "".join(part.title() for part in verb_noun.split("_"))

    assert name == f"{in_camel_case}Function"
    assert (ROOT / "functions" / area / f"{verb_noun}.py").is_file()
    assert list((ROOT / "events" / area).glob(f"{verb_noun}.*.json")), "a sample event is missing"


def test_every_handler_is_deployed() -> None:
    deployed = {handler_of(properties) for properties in FUNCTIONS.values()}
    written = {
        (path.parent.name, path.stem)
        for path in (ROOT / "functions").glob("*/*.py")
        if path.stem != "__init__"
    }

    assert written == deployed


def test_every_sample_event_belongs_to_a_function_and_is_json() -> None:
    deployed = {handler_of(properties) for properties in FUNCTIONS.values()}
    for path in (ROOT / "events").glob("*/*.json"):
        json.loads(path.read_text())
        assert re.fullmatch(r"[a-z_]+\.[a-z0-9_]+\.json", path.name), path
        assert (path.parent.name, path.name.split(".")[0]) in deployed, path


@each_function
def test_code_carries_no_dependencies_and_is_not_built(name: str) -> None:
    resource = template()["Resources"][name]

    assert resource["Metadata"] == {"SkipBuild": True}
    assert resource["Properties"]["CodeUri"] == "functions/"


def test_all_functions_log_trace_and_count() -> None:
    shared = template()["Globals"]["Function"]
    variables = shared["Environment"]["Variables"]

    assert shared["Tracing"] == "Active"
    assert shared["LoggingConfig"]["LogFormat"] == "JSON"
    assert mentions(shared["LoggingConfig"]["LogGroup"], "FunctionLogs")
    assert template()["Resources"]["FunctionLogs"]["Properties"]["RetentionInDays"]
    assert {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"} <= set(variables)
    for name, properties in FUNCTIONS.items():
        assert not {"Tracing", "LoggingConfig"} & set(properties), f"{name} goes its own way"


@each_function
def test_every_variable_is_a_setting(name: str) -> None:
    known = {field.upper() for field in Settings.model_fields}

    assert set(environment(FUNCTIONS[name])) <= known


@each_function
def test_no_action_and_no_resource_is_a_wildcard(name: str) -> None:
    for statement in statements(FUNCTIONS[name]):
        for action in as_list(statement["Action"]):
            assert "*" not in action, f"{name}: {action}"
        if statement["Effect"] == "Allow" and "*" in as_list(statement["Resource"]):
            assert set(as_list(statement["Action"])) <= WITHOUT_RESOURCE, f"{name}: {statement}"


@each_function
def test_a_function_in_the_vpc_is_allowed_only_what_it_can_reach(name: str) -> None:
    if not in_vpc(name):
        return
    for statement in statements(FUNCTIONS[name]):
        for action in as_list(statement["Action"]):
            assert action.split(":")[0] in REACHABLE_IN_VPC, f"{name} cannot reach {action}"


@each_function
def test_the_database_is_known_inside_the_vpc_only_and_waits_for_its_migration(name: str) -> None:
    resource = template()["Resources"][name]
    knows = "DATABASE_URL" in environment(FUNCTIONS[name])

    assert knows == in_vpc(name)
    if knows and name != "MigrateDatabaseFunction":
        assert resource["DependsOn"] == "MigrateDatabase"
        assert mentions(resource["Properties"]["Policies"], "ConnectDatabasePolicy")


@each_function
def test_a_table_or_bucket_in_the_environment_is_in_the_policies_too(name: str) -> None:
    said = json.dumps(FUNCTIONS[name].get("Policies", []))
    for variable, value in environment(FUNCTIONS[name]).items():
        if variable.endswith(("_TABLE", "_BUCKET", "_QUEUE_URL", "_STREAM")):
            assert mentions(json.loads(said), value["Ref"]), f"{name}: {variable} without a policy"


@each_function
def test_what_the_api_calls_answers_within_its_limit(name: str) -> None:
    timeout = FUNCTIONS[name].get("Timeout", template()["Globals"]["Function"]["Timeout"])
    scheduled = events_of(FUNCTIONS[name], "ScheduleV2")

    if events_of(FUNCTIONS[name], "Api") and not scheduled:
        assert timeout <= 29 or name == "WriteRoundReportFunction"


@each_function
def test_schedules_retry_and_end_in_a_queue(name: str) -> None:
    for event in events_of(FUNCTIONS[name], "ScheduleV2"):
        assert event["RetryPolicy"]["MaximumRetryAttempts"] > 0
        assert mentions(event["DeadLetterConfig"], "FailedInvocationsQueue")
        # A schedule invokes asynchronously, so what fails inside must end somewhere as well.
        on_failure = FUNCTIONS[name]["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]
        assert mentions(on_failure, "FailedInvocationsQueue")


@each_function
def test_streams_bisect_give_up_late_and_say_so(name: str) -> None:
    for event in events_of(FUNCTIONS[name], "Kinesis") + events_of(FUNCTIONS[name], "DynamoDB"):
        assert event["BisectBatchOnFunctionError"] is True
        assert 0 < event["MaximumRetryAttempts"] <= 10_000
        assert 0 < event["MaximumRecordAgeInSeconds"] < 24 * 3600, "a stream keeps a day"
        assert event["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert mentions(event["DestinationConfig"]["OnFailure"], "StreamFailureQueue")


@each_function
def test_queues_report_each_message_and_wait_long_enough(name: str) -> None:
    timeout = FUNCTIONS[name].get("Timeout", template()["Globals"]["Function"]["Timeout"])
    for event in events_of(FUNCTIONS[name], "SQS"):
        queue = queues()[event["Queue"]["Fn::GetAtt"][0]]
        assert event["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert queue["VisibilityTimeout"] >= 6 * timeout, "AWS advises six times the timeout"


def routes() -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and event of every route."""
    return [
        (event["Method"], event["Path"], event)
        for properties in FUNCTIONS.values()
        for event in events_of(properties, "Api")
    ]


def test_every_route_but_the_webhooks_asks_for_a_login() -> None:
    api = template()["Resources"]["Api"]["Properties"]["Auth"]
    open_routes = [path for _, path, event in routes() if "Auth" in event]

    assert api["DefaultAuthorizer"] == "People"
    assert open_routes == ["/webhooks/{tenant_id}/{source_id}"]


def test_routes_name_their_methods_and_stand_once() -> None:
    found = [(method, path) for method, path, _ in routes()]

    assert len(set(found)) == len(found)
    assert {method for method, _ in found} <= {"GET", "POST"}


def test_the_access_log_holds_nobody() -> None:
    logged = template()["Resources"]["Api"]["Properties"]["AccessLogSetting"]["Format"]

    json.loads(re.sub(r"\$context\.[a-zA-Z.]+", "x", logged))
    for forbidden in ("identity", "authorizer", "sourceIp", "$context.path", "caller", "user"):
        assert forbidden not in logged
