"""No function may do what its code never does.

Found by reading, as in `test_settings`: from a handler along the wiring to the adapters that it
builds, and there to the calls of AWS clients. Whether a permission is missing shows in AWS only; what
is superfluous shows here.
"""

from __future__ import annotations

import ast
from functools import cache

import pytest

from tests.template.reading import ROOT, as_list, functions, handler_of, machines, statements
from tests.template.test_settings import LAYER, Module, imports_of, module

#: Calls of clients (boto3 and pynamodb), and the IAM actions that they take.
ACTIONS = {
    "batch_write_item": {"dynamodb:BatchWriteItem"},
    "get_item": {"dynamodb:GetItem"},
    "batch_get_item": {"dynamodb:BatchGetItem"},
    "put_item": {"dynamodb:PutItem"},
    "update_item": {"dynamodb:UpdateItem"},
    "delete_item": {"dynamodb:DeleteItem"},
    "query": {"dynamodb:Query"},
    "scan": {"dynamodb:Scan"},
    "put_object": {"s3:PutObject"},
    "put_object_tagging": {"s3:PutObjectTagging"},
    "get_object": {"s3:GetObject", "s3:ListBucket"},
    "head_object": {"s3:GetObject", "s3:ListBucket"},
    "generate_presigned_url": {"s3:GetObject"},
    "generate_presigned_post": {"s3:PutObject"},
    "create_multipart_upload": {"s3:PutObject"},
    "upload_part_copy": {"s3:PutObject", "s3:GetObject"},
    "copy_object": {"s3:PutObject", "s3:GetObject"},
    "delete_object": {"s3:DeleteObject"},
    "list_objects_v2": {"s3:ListBucket"},
    "get_secret_value": {"secretsmanager:GetSecretValue"},
    "put_secret_value": {"secretsmanager:PutSecretValue"},
    "create_secret": {"secretsmanager:CreateSecret"},
    "create_schedule": {"scheduler:CreateSchedule", "iam:PassRole"},
    "update_schedule": {"scheduler:UpdateSchedule", "iam:PassRole"},
    "delete_schedule": {"scheduler:DeleteSchedule"},
    "send_message": {"sqs:SendMessage"},
    "send_message_batch": {"sqs:SendMessage"},
    "put_records": {"kinesis:PutRecords"},
    "send_task_success": {"states:SendTaskSuccess"},
    "send_task_failure": {"states:SendTaskFailure"},
    "start_execution": {"states:StartExecution"},
    "describe_execution": {"states:DescribeExecution"},
    "stop_execution": {"states:StopExecution"},
    "send_email": {"ses:SendEmail"},
    "publish": {"sns:Publish"},
}
#: Operations that are sent without a client, by their names.
SENT = {name: {f"dynamodb:{name}"} for name in ("BatchGetItem", "BatchWriteItem")}
#: Parts of a transaction, named as keys or as pynamodb's methods.
IN_TRANSACTIONS = {
    "Put": {"dynamodb:PutItem"},
    "Update": {"dynamodb:UpdateItem"},
    "Delete": {"dynamodb:DeleteItem"},
    "ConditionCheck": {"dynamodb:ConditionCheckItem"},
}
PYNAMODB = {
    "get": {"dynamodb:GetItem"},
    "save": {"dynamodb:PutItem"},
    "update": {"dynamodb:UpdateItem"},
    "delete": {"dynamodb:DeleteItem"},
    "condition_check": {"dynamodb:ConditionCheckItem"},
    "batch_get": {"dynamodb:BatchGetItem"},
    "batch_write": {"dynamodb:BatchWriteItem"},
}
#: Methods of `Executions`, whose users may take the one without the other.
EXECUTIONS = {
    "start": {"states:StartExecution"},
    "find": {"states:DescribeExecution"},
    "stop": {"states:StopExecution"},
}


@cache
def actions_of(name: str) -> frozenset[str]:
    """IAM actions that a module's calls may take, and those of its package's that it builds on."""
    path = LAYER / (name.replace(".", "/") + ".py")
    if not path.exists():
        return frozenset()
    tree = ast.parse(path.read_text())
    mapped = any(
        isinstance(n, ast.ImportFrom) and str(n.module).startswith("pynamodb")
        for n in ast.walk(tree)
    )
    executions = ("pardna.runtime.stepfunctions", "Executions") in imports_of(tree).values()
    found: set[str] = set()
    for node in ast.walk(tree):
        word = node.attr if isinstance(node, ast.Attribute) else ""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            word = node.value
        found |= ACTIONS.get(word, set()) | IN_TRANSACTIONS.get(word, set()) | SENT.get(word, set())
        found |= PYNAMODB.get(word, set()) if mapped else set()
        found |= EXECUTIONS.get(word, set()) if executions else set()
    package = name.rpartition(".")[0]
    beside = {m for m, _ in imports_of(tree).values() if m.startswith(f"{package}.")} - {name}
    technology = name.rpartition(".")[2].split("_")[0]
    for other in sorted(m for m in beside if m.rpartition(".")[2].startswith(technology)):
        found |= actions_of(other)
    return frozenset(found)


def built_by(node: ast.AST, where: Module, seen: set[tuple[str, str]]) -> set[str]:
    """Modules whose classes or functions a piece of code uses, directly or not."""
    known = where.imports | imports_of(node)
    found: set[str] = set()
    for part in ast.walk(node):
        target: tuple[str, str] | None = None
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
            if part.value.id in known:
                package, name = known[part.value.id]
                target = (f"{package}.{name}", part.attr)
        elif isinstance(part, ast.Name):
            if part.id in where.functions:
                target = (where.name, part.id)
            elif part.id in known:
                target = known[part.id]
        if target is None or target in seen:
            continue
        seen.add(target)
        there = module(target[0])
        if there is None:
            continue
        found.add(target[0])
        if target[1] in there.functions:
            found |= built_by(there.functions[target[1]], there, seen)
    return found


def possible(area: str, verb_noun: str) -> set[str]:
    """IAM actions that a handler's code may take."""
    tree = ast.parse((ROOT / "functions" / area / f"{verb_noun}.py").read_text())
    handler = Module(f"functions.{area}.{verb_noun}", tree)
    return {a for name in built_by(tree, handler, set()) for a in actions_of(name)}


@pytest.mark.parametrize("name", sorted(functions()))
def test_a_function_may_do_only_what_its_code_does(name: str) -> None:
    allowed = {
        action
        for statement in statements(functions()[name])
        if statement["Effect"] == "Allow"
        for action in as_list(statement["Action"])
    }

    assert allowed <= possible(*handler_of(functions()[name]))


@pytest.mark.parametrize("name", sorted(machines()))
def test_a_machine_may_do_only_what_machines_do(name: str) -> None:
    services = {
        action.split(":")[0]
        for statement in statements(machines()[name])
        for action in as_list(statement["Action"])
    }

    assert services <= {"lambda", "states", "events", "s3", "sns"}
