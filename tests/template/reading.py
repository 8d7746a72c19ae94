"""Templates as data: CloudFormation's YAML with its short tags, and questions that tests ask it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools" / "bin"
MACHINES = ROOT / "statemachines"


class _Loader(yaml.SafeLoader):
    """Short tags become their long form: ``!Ref X`` -> ``{"Ref": "X"}``."""


def _tag(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _tag)


def load(path: Path) -> dict[str, Any]:
    """A template."""
    loaded: dict[str, Any] = yaml.load(path.read_text(), Loader=_Loader)
    return loaded


@cache
def template() -> dict[str, Any]:
    """template.yaml."""
    return load(ROOT / "template.yaml")


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Properties of all resources of a type, by logical id."""
    return {
        name: resource.get("Properties", {})
        for name, resource in template()["Resources"].items()
        if resource["Type"] == kind
    }


def functions() -> dict[str, dict[str, Any]]:
    """Properties of all functions."""
    return resources("AWS::Serverless::Function")


def machines() -> dict[str, dict[str, Any]]:
    """Properties of all state machines."""
    return resources("AWS::Serverless::StateMachine")


def queues() -> dict[str, dict[str, Any]]:
    """Properties of all queues."""
    return resources("AWS::SQS::Queue")


def definition(properties: dict[str, Any]) -> dict[str, Any]:
    """The definition of a state machine."""
    read: dict[str, Any] = json.loads((ROOT / properties["DefinitionUri"]).read_text())
    return read


def states(machine: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """All states of a definition by name, those inside maps and parallels included."""
    found: dict[str, dict[str, Any]] = {}
    for name, state in machine.get("States", {}).items():
        found[name] = state
        inner = [state[k] for k in ("ItemProcessor", "Iterator") if k in state]
        for part in inner + state.get("Branches", []):
            found |= states(part)
    return found


def statements(properties: dict[str, Any]) -> list[dict[str, Any]]:
    """All inline statements of a function's or machine's policies, conditional ones included."""
    found: list[dict[str, Any]] = []
    for policy in properties.get("Policies", []):
        for choice in policy.get("Fn::If", [None, policy])[1:]:
            if isinstance(choice, dict) and "Statement" in choice:
                found += choice["Statement"]
    return found


def as_list(value: Any) -> list[Any]:
    """What IAM lets one write as one thing or as a list."""
    return value if isinstance(value, list) else [value]


def environment(properties: dict[str, Any]) -> dict[str, Any]:
    """A function's own environment variables."""
    variables: dict[str, Any] = properties.get("Environment", {}).get("Variables", {})
    return variables


def handler_of(properties: dict[str, Any]) -> tuple[str, str]:
    """Area and name of a function's handler: ``("circles", "show_round")``."""
    area, name, _ = properties["Handler"].split(".")
    return area, name


def events_of(properties: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Properties of a function's events of one type."""
    found = properties.get("Events", {}).values()
    return [event["Properties"] for event in found if event["Type"] == kind]


def mentions(value: Any, logical_id: str) -> bool:
    """Whether a value refers to a resource, by any intrinsic."""
    text = json.dumps(value)
    return (
        any(
            mark in text
            for mark in (f'"Ref": "{logical_id}"', f'["{logical_id}",', f"${{{logical_id}}}")
        )
        or f"${{{logical_id}." in text
    )
