"""State machines as operators read them, and as they fail."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.template.reading import (
    MACHINES,
    ROOT,
    definition,
    functions,
    handler_of,
    machines,
    mentions,
    statements,
    states,
)

each_machine = pytest.mark.parametrize("name", sorted(machines()))
_PLACEHOLDER = re.compile(r"\$\{([A-Za-z0-9_]+)\}")

#: Functions without a state of their name, and why.
OTHER_NAMES = {
    "PostMatchesFunction": "Post clearing: the state posts what the stream lost, the function both",
}


def text_of(name: str) -> str:
    return (ROOT / machines()[name]["DefinitionUri"]).read_text()


def test_every_definition_is_deployed() -> None:
    deployed = {ROOT / m["DefinitionUri"] for m in machines().values()}

    assert deployed == set(MACHINES.glob("*.asl.json"))


@each_machine
def test_each_placeholder_is_given_and_each_substitution_is_used(name: str) -> None:
    given = set(machines()[name].get("DefinitionSubstitutions", {}))

    assert set(_PLACEHOLDER.findall(text_of(name))) == given


@each_machine
def test_the_machine_may_invoke_what_it_names_and_nothing_else(name: str) -> None:
    properties = machines()[name]
    named = {
        value["Fn::GetAtt"][0]
        for value in properties["DefinitionSubstitutions"].values()
        if "Fn::GetAtt" in value and value["Fn::GetAtt"][0] in functions()
    }
    allowed = {
        resource["Fn::GetAtt"][0]
        for statement in statements(properties)
        if statement["Action"] == "lambda:InvokeFunction"
        for resource in statement["Resource"]
    }

    assert allowed == named


@each_machine
def test_every_state_reads_as_a_sentence(name: str) -> None:
    machine = definition(machines()[name])

    assert machine.get("Comment", "").strip()
    for title, state in states(machine).items():
        assert re.fullmatch(r"[A-Z][A-Za-z0-9 ,'’?-]{2,59}", title), (
            f"{title!r} is no plain English"
        )
        assert len(state.get("Comment", "")) >= 10, f"{title!r} has no comment"


@each_machine
def test_every_task_retries_catches_and_ends(name: str) -> None:
    for title, state in states(definition(machines()[name])).items():
        if state["Type"] not in ("Task", "Map"):
            continue
        assert state.get("Retry"), f"{title!r} does not retry"
        assert state.get("Catch"), f"{title!r} catches nothing"
        if state["Type"] == "Task":
            assert {"TimeoutSeconds", "TimeoutSecondsPath"} & set(state), f"{title!r} may hang"


@each_machine
def test_each_function_has_a_state_of_its_name(name: str) -> None:
    properties = machines()[name]
    titles = [title.lower() for title in states(definition(properties))]
    for value in properties.get("DefinitionSubstitutions", {}).values():
        function = value.get("Fn::GetAtt", [""])[0]
        if function in functions() and function not in OTHER_NAMES:
            _, verb_noun = handler_of(functions()[function])
            in_words = verb_noun.replace("_", " ")
            assert any(title.startswith(in_words) for title in titles), f"no state {in_words!r}"


@each_machine
def test_logs_hold_no_payload_and_traces_are_on(name: str) -> None:
    properties: dict[str, Any] = machines()[name]

    assert properties["Tracing"] == {"Enabled": True}
    assert properties["Logging"]["Level"] == "ALL"
    assert properties["Logging"]["IncludeExecutionData"] is False
    assert mentions(properties["Logging"]["Destinations"], "MachineLogs")


#: What a state may hand on: ids, days, amounts and outcomes. An execution's history is read by
#: every operator, so names, addresses and whole records are not among them.
MAY_BE_CARRIED = {
    "amount_minor", "approval_id", "batch_id", "circle_id", "clearing", "completeness", "context",
    "correlation_id", "currency", "decision_id", "ending", "execution_id", "kind", "payment_id", "reference_date",
    "requested_by", "round", "round_number", "run_id", "send_again", "source_id", "status",
    "subject", "task_token", "tenant_id", "trial_id", "valid_seconds", "window_days",
}  # fmt: skip
#: How services are called, around what is carried.
AROUND = {
    "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID", "Bucket", "FunctionName", "Input", "Key",
    "Message", "Payload", "StateMachineArn", "Subject", "TopicArn",
}  # fmt: skip


def carried(node: Any) -> set[str]:
    """Every key that is handed on below a state's Parameters."""
    if not isinstance(node, dict):
        return set()
    below = [carried(value) for value in node.values()]
    return {key.removesuffix(".$") for key in node}.union(*below)


@each_machine
def test_states_hand_on_ids_and_nobodys_particulars(name: str) -> None:
    for title, state in states(definition(machines()[name])).items():
        beyond = carried(state.get("Parameters", {})) - MAY_BE_CARRIED - AROUND
        assert not beyond, f"{title!r} hands on {sorted(beyond)}"
