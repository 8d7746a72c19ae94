"""Queues, tables, buckets, alarms: nothing ends where nobody looks."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from pardna.ingestion.s3_restriction import TAG
from tests.template.reading import (
    ROOT,
    as_list,
    functions,
    machines,
    mentions,
    queues,
    resources,
    statements,
    template,
)

QUEUES = queues()
TABLES = resources("AWS::DynamoDB::Table")
BUCKETS = resources("AWS::S3::Bucket")
CODE = (ROOT / "functions", ROOT / "layers" / "shared" / "pardna")
ALARMS = resources("AWS::CloudWatch::Alarm")


def alarms_on(logical_id: str) -> list[dict[str, Any]]:
    """Alarms whose dimensions name a resource."""
    return [alarm for alarm in ALARMS.values() if mentions(alarm.get("Dimensions", []), logical_id)]


@pytest.mark.parametrize("name", sorted(QUEUES))
def test_a_queue_has_a_dead_letter_queue_or_an_alarm(name: str) -> None:
    queue = QUEUES[name]

    assert queue["SqsManagedSseEnabled"] is True
    if "RedrivePolicy" in queue:
        target = queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
        assert "RedrivePolicy" not in QUEUES[target]
        assert queue["RedrivePolicy"]["maxReceiveCount"] >= 3
        # A message that is put aside keeps the date of its first sending.
        assert QUEUES[target]["MessageRetentionPeriod"] > queue["MessageRetentionPeriod"]
    else:
        (alarm,) = alarms_on(name)
        assert alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
        assert alarm["Threshold"] == 0
        assert queue["MessageRetentionPeriod"] == 1_209_600, "people need all of two weeks"


@pytest.mark.parametrize("name", sorted(machines()))
def test_a_machine_that_fails_or_hangs_rings(name: str) -> None:
    assert {a["MetricName"] for a in alarms_on(name)} == {"ExecutionsFailed", "ExecutionsTimedOut"}


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_an_alarm_rings_somewhere_and_says_what_is_wrong(name: str) -> None:
    assert mentions(ALARMS[name]["AlarmActions"], "AlarmTopic")
    assert len(ALARMS[name]["AlarmDescription"]) > 20
    assert ALARMS[name]["TreatMissingData"] == "notBreaching"


@pytest.mark.parametrize("metric", ["SftpPullFailed", "WebhookRefused", "5XXError", "Latency"])
def test_what_the_promises_depend_on_rings(metric: str) -> None:
    assert [a for a in ALARMS.values() if a.get("MetricName") == metric]


@pytest.mark.parametrize("name", sorted(TABLES))
def test_tables_can_be_brought_back(name: str) -> None:
    table = TABLES[name]

    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"


@pytest.mark.parametrize(
    ("table", "indexes"),
    [
        ("MatchTable", {"open", "listing"}),
        ("WorkflowTable", {"pending"}),
        ("OutboxTable", {"unsent"}),
        ("DirectoryTable", set()),
    ],
)
def test_tables_have_the_keys_that_the_code_writes(table: str, indexes: set[str]) -> None:
    found = TABLES[table]
    named = {index["IndexName"] for index in found.get("GlobalSecondaryIndexes", [])}

    assert [k["AttributeName"] for k in found["KeySchema"]] == ["pk", "sk"]
    assert named == indexes
    for index in found.get("GlobalSecondaryIndexes", []):
        prefix = (
            index["IndexName"].removesuffix("ing")
            if index["IndexName"] == "listing"
            else (index["IndexName"])
        )
        assert [k["AttributeName"] for k in index["KeySchema"]] == [f"{prefix}_pk", f"{prefix}_sk"]


@pytest.mark.parametrize("name", sorted(BUCKETS))
def test_buckets_are_closed_encrypted_and_speak_tls_only(name: str) -> None:
    bucket = BUCKETS[name]
    (policy,) = [
        p for p in resources("AWS::S3::BucketPolicy").values() if mentions(p["Bucket"], name)
    ]
    statement, *others = policy["PolicyDocument"]["Statement"]

    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["BucketEncryption"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": False}}
    # Whoever else is let in is a service of AWS, at work for this account.
    for other in others:
        if other["Effect"] == "Deny":
            continue
        assert set(other["Principal"]) == {"Service"}
        assert other["Condition"] == {
            "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
        }


def test_raw_objects_are_locked_in_production_only_and_never_for_good() -> None:
    lock = BUCKETS["RawBucket"]["ObjectLockConfiguration"]["Fn::If"]

    assert lock[0] == "Production"
    assert lock[1]["Rule"]["DefaultRetention"]["Mode"] == "GOVERNANCE"
    assert lock[2] == {"Ref": "AWS::NoValue"}


def test_raw_objects_with_card_numbers_are_closed_and_forgotten() -> None:
    (policy,) = [
        p for p in resources("AWS::S3::BucketPolicy").values() if mentions(p["Bucket"], "RawBucket")
    ]
    (closed,) = [
        s for s in policy["PolicyDocument"]["Statement"] if s["Sid"] == "CardNumbersClosed"
    ]
    rules = BUCKETS["RawBucket"]["LifecycleConfiguration"]["Rules"]
    (forgotten,) = [r for r in rules if r.get("TagFilters") == [TAG]]
    # Whoever may read raw objects at all, if only to learn that one is there.
    readers = {
        f"{name}Role"
        for name, properties in functions().items()
        for statement in statements(properties)
        if "s3:GetObject" in as_list(statement["Action"])
        and "${RawBucket.Arn}/raw/*" in json.dumps(statement["Resource"])
    }

    assert closed["Effect"] == "Deny"
    assert {"s3:GetObject", "s3:GetObjectVersion"} <= set(closed["Action"])
    assert closed["Condition"]["StringEquals"] == {
        f"s3:ExistingObjectTag/{TAG['Key']}": TAG["Value"]
    }
    let_in = closed["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
    assert {str(as_list(role["Fn::GetAtt"])[0]).split(".")[0] for role in let_in} == readers
    assert forgotten["ExpirationInDays"] <= 30


def test_secrets_are_no_parameters_that_can_be_read_back() -> None:
    for name, parameter in template()["Parameters"].items():
        if name.startswith("Database"):
            assert parameter["NoEcho"] is True
    assert "MasterUserPassword" not in json.dumps(template())


def test_every_metric_that_an_alarm_watches_is_counted_somewhere() -> None:
    watched = {a["MetricName"] for a in ALARMS.values() if a.get("Namespace") == "Pardna"}
    for alarm in ALARMS.values():
        stats = [m["MetricStat"]["Metric"] for m in alarm.get("Metrics", []) if "MetricStat" in m]
        watched |= {metric["MetricName"] for metric in stats}
    code = "".join(p.read_text() for folder in CODE for p in folder.rglob("*.py"))

    assert {name for name in watched if f'"{name}"' not in code} == set()


def test_browsers_send_uploads_from_named_origins_only() -> None:
    parameter = template()["Parameters"]["UploadOrigins"]
    assert parameter["Default"] == ""
    allowed = re.compile(parameter["AllowedPattern"])
    good = ("", "https://console.example", "https://a.example,http://localhost:5173")
    assert all(allowed.search(one) for one in good)
    bad = (
        "*",
        "https://*",
        "https://*.example",
        "https://a.example,*",
        "null",
        "https://a.example/",
    )
    assert not any(allowed.search(one) for one in bad)
    condition, given, nothing = BUCKETS["ArrivalsBucket"]["CorsConfiguration"]["Fn::If"]
    assert (condition, nothing) == ("UploadsFromBrowsers", {"Ref": "AWS::NoValue"})
    (rule,) = given["CorsRules"]
    assert rule["AllowedMethods"] == ["POST"]
    assert rule["AllowedOrigins"] == {"Fn::Split": [",", {"Ref": "UploadOrigins"}]}
    assert not any("CorsConfiguration" in b for n, b in BUCKETS.items() if n != "ArrivalsBucket")


def test_mail_is_received_for_one_domain_into_the_arrivals_only() -> None:
    whole = template()["Resources"]
    assert {whole[n]["Condition"] for n in ("MailRuleSet", "MailRule")} == {"ReceivesMail"}
    rule = whole["MailRule"]["Properties"]["Rule"]
    assert (rule["Recipients"], rule["ScanEnabled"]) == ([{"Ref": "MailDomain"}], True)
    (action,) = rule["Actions"]
    stored = {"BucketName": {"Ref": "ArrivalsBucket"}, "ObjectKeyPrefix": "mail/by-address/"}
    assert action == {"S3Action": stored}
