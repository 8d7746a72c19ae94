"""A digest of everything that a home holds, so that "nothing changed" is computed, not claimed.

`take` gives one hash for each row, item, object, file, message, execution, user and partner's
record, under a name that says where it lies; `compare` counts the names that differ.

Left out, each for a reason:

- log events, metrics and traces: a run that finds nothing to do still says that it looked;
- positions of streams and queues inside the emulator: they are its business, what they carry
  (Kinesis records, messages waiting) is taken;
- last-accessed times, and ids of sessions and tokens of people who sign in: signing in is not a
  change of what the product holds;
- values of PostgreSQL's sequences: a gap means nothing, what was numbered is in the rows;
- empty folders: they hold nothing.
"""

from __future__ import annotations

import hashlib
import json
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from local.home import Home

#: Name of a thing -> hash of its content.
Digest = dict[str, str]
Found = Iterator[tuple[str, str]]

#: Collectors wait for answers most of the time; the emulator takes four calls at once well.
_WORKERS = 4


@dataclass(frozen=True, slots=True)
class Difference:
    """Names that only one digest knows, and names whose content differs."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many things differ: the demo's ``second_run_changed``."""
        return len(self.added) + len(self.removed) + len(self.changed)

    def lines(self, most: int = 20) -> list[str]:
        """One line a difference for people, at most `most` and a line for the rest."""
        found = [
            *(f"added    {name}" for name in self.added),
            *(f"removed  {name}" for name in self.removed),
            *(f"changed  {name}" for name in self.changed),
        ]
        rest = len(found) - most
        return [*found[:most], *([f"and {rest} more"] if rest > 0 else [])]


def compare(before: Mapping[str, str], after: Mapping[str, str]) -> Difference:
    """What differs between two digests, by name."""
    return Difference(
        added=tuple(sorted(set(after) - set(before))),
        removed=tuple(sorted(set(before) - set(after))),
        changed=tuple(sorted(n for n in set(before) & set(after) if before[n] != after[n])),
    )


def take(home: Home) -> Digest:
    """The digest of a home that runs. Raises whatever a part that does not answer raises."""
    with ThreadPoolExecutor(_WORKERS) as pool:
        parts = [pool.submit(lambda one=one: list(one(home))) for one in COLLECTORS]
        found = [pair for part in parts for pair in part.result()]
    digest = dict(found)
    if len(digest) != len(found):
        seen: set[str] = set()
        twice = next(name for name, _ in found if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise AssertionError(f"two things are called {twice}: one would hide the other")
    return digest


def kinds(digest: Mapping[str, str]) -> dict[str, int]:
    """How many things of each kind a digest holds, for people."""
    counted: dict[str, int] = {}
    for name in digest:
        kind = name.split("/", 1)[0]
        counted[kind] = counted.get(kind, 0) + 1
    return dict(sorted(counted.items()))


# ---------------------------------------------------------------- PostgreSQL


def rows(home: Home) -> Found:
    """Every row of every table of ours, partitions included, as the superuser sees them."""
    import psycopg

    with psycopg.connect(home.database_superuser_url, autocommit=True) as connection:
        yield from database_rows(connection)


def database_rows(connection: Any) -> Found:
    """Every row that a connection may see, named by its table and primary key."""
    from psycopg import sql

    for schema, table, key in connection.execute(_TABLES).fetchall():
        name = sql.Identifier(schema, table)
        columns = sql.SQL(", ").join(
            sql.SQL("to_jsonb(t)->>{}").format(sql.Literal(column)) for column in key or ()
        )
        query = sql.SQL("SELECT ARRAY[{}]::text[], to_jsonb(t)::text FROM ONLY {} t").format(
            columns, name
        )
        counted: dict[str, int] = {}
        for values, text in connection.execute(query):
            label = "|".join(map(str, values)) if key else _hash(text)[:16]
            # A table without a key may hold the same row twice: both count.
            counted[label] = counted.get(label, 0) + 1
            suffix = f"#{counted[label]}" if counted[label] > 1 else ""
            yield f"row/{schema}.{table}/{label}{suffix}", _hash(text)


_TABLES = """
    SELECT n.nspname, c.relname, (
        SELECT array_agg(a.attname::text ORDER BY k.position)
        FROM pg_index i
        CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attribute, position)
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attribute
        WHERE i.indrelid = c.oid AND i.indisprimary)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    ORDER BY 1, 2
"""

# ---------------------------------------------------------------- AWS


def items(home: Home) -> Found:
    """Every item of every DynamoDB table."""
    client = home.client("dynamodb")
    for table in _pages(client, "list_tables", "TableNames"):
        schema = client.describe_table(TableName=table)["Table"]["KeySchema"]
        names = [key["AttributeName"] for key in schema]
        for item in _pages(client, "scan", "Items", TableName=table, ConsistentRead=True):
            label = "|".join(str(next(iter(item[name].values()))) for name in names)
            yield f"item/{table}/{label}", _hash(_canonical(item))


def objects(home: Home) -> Found:
    """Every version of every object in every bucket: bytes, type and metadata; delete markers."""
    client = home.client("s3")
    for bucket in client.list_buckets()["Buckets"]:
        name = bucket["Name"]
        pages = client.get_paginator("list_object_versions").paginate(Bucket=name)
        for page in pages:
            for one in page.get("Versions", []):
                version = one.get("VersionId") or "null"
                given = {} if version == "null" else {"VersionId": version}
                got = client.get_object(Bucket=name, Key=one["Key"], **given)
                headers = _canonical([got.get("ContentType"), got.get("Metadata")])
                digest = hashlib.sha256(headers.encode())
                for chunk in got["Body"].iter_chunks(1 << 20):
                    digest.update(chunk)
                yield f"object/{name}/{one['Key']}@{version}", digest.hexdigest()
            for one in page.get("DeleteMarkers", []):
                yield f"object/{name}/{one['Key']}@{one['VersionId']}", "deleted"


def stream_records(home: Home) -> Found:
    """Every record that still lies on a Kinesis stream."""
    client = home.client("kinesis")
    for stream in client.list_streams()["StreamNames"]:
        for shard in client.list_shards(StreamName=stream)["Shards"]:
            cursor = client.get_shard_iterator(
                StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while cursor:
                got = client.get_records(ShardIterator=cursor, Limit=10_000)
                for record in got["Records"]:
                    label = f"{shard['ShardId']}/{record['SequenceNumber']}"
                    yield f"record/{stream}/{label}", _hash(record["Data"])
                cursor = got.get("NextShardIterator") if got["Records"] else None


def messages(home: Home) -> Found:
    """Every e-mail and SMS sent, and every message that waits on a queue or in a dead-letter queue."""
    for service, path in _SENT.items():
        told = _get_json(f"{home.endpoint_url}/_ministack/{path}")
        yield from listed(f"message/{service}", told)


_SENT = {"ses": "ses/messages", "sms": "sns/sms-messages", "sqs": "sqs/messages"}


def listed(prefix: str, told: Any) -> Found:
    """Everything in an answer that lists messages, at whatever depth its lists lie."""
    if isinstance(told, dict):
        for key, value in told.items():
            yield from listed(f"{prefix}/{key}", value)
    elif isinstance(told, list):
        for position, one in enumerate(told):
            known = one.get("MessageId") if isinstance(one, dict) else None
            yield f"{prefix}/{known or position}", _hash(_canonical(one))


def executions(home: Home) -> Found:
    """Every execution of every state machine: its state, input and result."""
    client = home.client("stepfunctions")
    for machine in _pages(client, "list_state_machines", "stateMachines"):
        arn = machine["stateMachineArn"]
        for one in _pages(client, "list_executions", "executions", stateMachineArn=arn):
            told = client.describe_execution(executionArn=one["executionArn"])
            facts = [told.get(name) for name in ("status", "input", "output", "error", "cause")]
            yield f"execution/{machine['name']}/{one['name']}", _hash(_canonical(facts))


def people(home: Home) -> Found:
    """Every Cognito user with attributes, state and groups."""
    client = home.client("cognito-idp")
    for pool in _pages(client, "list_user_pools", "UserPools", MaxResults=60):
        for user in _pages(client, "list_users", "Users", UserPoolId=pool["Id"]):
            groups = client.admin_list_groups_for_user(
                UserPoolId=pool["Id"], Username=user["Username"]
            )["Groups"]
            facts = [user, sorted(group["GroupName"] for group in groups)]
            yield f"user/{pool['Id']}/{user['Username']}", _hash(_canonical(facts))


def configuration(home: Home) -> Found:
    """Secrets' values, schedules and rules: what a story could leave behind beside its data."""
    secrets = home.client("secretsmanager")
    for secret in _pages(secrets, "list_secrets", "SecretList"):
        value = secrets.get_secret_value(SecretId=secret["ARN"])
        facts = [value.get("SecretString"), value.get("VersionId")]
        yield f"secret/{secret['Name']}", _hash(_canonical(facts))
    scheduler = home.client("scheduler")
    for schedule in _pages(scheduler, "list_schedules", "Schedules"):
        facts = [schedule.get(name) for name in ("State", "ScheduleExpression", "Target")]
        yield f"schedule/{schedule.get('GroupName')}/{schedule['Name']}", _hash(_canonical(facts))


# ---------------------------------------------------------------- partners


def files(home: Home) -> Found:
    """Every file in the bank's folders, and whatever else the simulated bank keeps."""
    yield from folder_files(home.paths.run / "bank")


def folder_files(folder: Path) -> Found:
    """Every file below a folder, by its path."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        # Written by the SFTP server about itself, not by the story.
        if path.suffix in {".log", ".pid", ".lock"}:
            continue
        yield f"file/{path.relative_to(folder)}", hashlib.sha256(path.read_bytes()).hexdigest()


def card_network(home: Home) -> Found:
    """What localstripe holds of ours."""
    for resource in ("customers", "payment_intents", "charges", "refunds", "events"):
        for one in _stripe_list(home, home.stripe_url, resource):
            yield f"card/{resource}/{one['id']}", _hash(_canonical(one))


def settlement(home: Home) -> Found:
    """What the settlement source reports: payouts, balance transactions, disputes."""
    for resource in ("payouts", "balance_transactions", "disputes"):
        for one in _stripe_list(home, home.settlement_url, resource):
            yield f"settlement/{resource}/{one['id']}", _hash(_canonical(one))
    yield "settlement/all", _get_json(f"{home.settlement_url}/_sim/digest")["sha256"]


COLLECTORS: tuple[Callable[[Home], Iterable[tuple[str, str]]], ...] = (
    rows, items, objects, stream_records, messages, executions, people, configuration,
    files, card_network, settlement,
)  # fmt: skip


# ---------------------------------------------------------------- shared


def _stripe_list(home: Home, base: str, resource: str) -> Iterator[Any]:
    after = ""
    while True:
        url = f"{base}/v1/{resource}?limit=100" + (
            f"&starting_after={quote(after)}" if after else ""
        )
        page = _get_json(url, {"Authorization": f"Bearer {home.stripe_key}"})
        yield from page["data"]
        if not page.get("has_more") or not page["data"]:
            return
        after = page["data"][-1]["id"]


def _pages(client: Any, operation: str, key: str, **given: Any) -> Iterator[Any]:
    if client.can_paginate(operation):
        for page in client.get_paginator(operation).paginate(**given):
            yield from page.get(key, [])
    else:
        yield from getattr(client, operation)(**given).get(key, [])


def _get_json(url: str, headers: Mapping[str, str] | None = None) -> Any:
    request = urllib.request.Request(url, headers=dict(headers or {}))
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def _canonical(value: Any) -> str:
    """Equal content, equal text: keys sorted, sets sorted, bytes and times printed."""
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            str(k): sorted(map(str, v)) if k in {"SS", "NS", "BS"} else _plain(v)
            for k, v in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, bytes | bytearray):
        return bytes(value).hex()
    if value is None or isinstance(value, str | int | bool):
        return value
    return str(value)


def _hash(content: str | bytes) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()
