"""One laptop home: start it, deploy to it, use it, stop it.

A home lives and dies as a whole. Its parts hold one state between them (a queue here, a row
there), so when one of them has died, all start afresh: half a memory is worse than none.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local import deployment, emulator, partners, postgres
from local.console import HomeError, say, step
from local.processes import Child, answers_tcp, holder_of, stop
from local.state import ROOT, Paths, State, home_folder, load, new_state, only_one

PARTS = ("postgres", "aws", "stripe", "settlement", "bank")


@dataclass(slots=True)
class Home:
    """A home that runs. Made by `up` or `open_home`."""

    paths: Paths
    state: State

    @property
    def endpoint_url(self) -> str:
        """Base address of the emulated AWS."""
        return emulator.endpoint(self.state)

    @property
    def stripe_url(self) -> str:
        """Base address of localstripe; its key is `stripe_key`."""
        return emulator.stripe_url(self.state)

    @property
    def stripe_key(self) -> str:
        """The secret key that localstripe and the settlement source accept."""
        return self.state.secrets["stripe_key"]

    @property
    def settlement_url(self) -> str:
        """Base address of the simulated settlement source."""
        return f"http://127.0.0.1:{self.state.ports['settlement']}"

    @property
    def bank(self) -> dict[str, Any]:
        """The simulated bank: host, port, control_port, host_key (to pin), client_key (a path)."""
        return dict(self.state.partners.get("bank", {}))

    @property
    def bank_control_url(self) -> str:
        """Where a person, the demo or a test tells the simulated bank what happens next."""
        return f"http://127.0.0.1:{self.state.ports['bank_control']}"

    @property
    def database_url(self) -> str:
        """PostgreSQL as the product's runtime role."""
        return postgres.runtime_url(self.state)

    @property
    def database_admin_url(self) -> str:
        """PostgreSQL as the administrator that migrates; like RDS's, it is no superuser."""
        return postgres.admin_url(self.state)

    @property
    def database_superuser_url(self) -> str:
        """PostgreSQL as superuser, who sees every tenant: for digests and for looking around."""
        return postgres.superuser_url(self.state)

    @property
    def outputs(self) -> dict[str, str]:
        """Outputs of the stack."""
        return dict(self.state.deployment.get("outputs", {}))

    @property
    def resources(self) -> dict[str, str]:
        """Physical id by logical id, e.g. ``resources["CaptureWebhookFunction"]``."""
        return dict(self.state.deployment.get("resources", {}))

    @property
    def api_url(self) -> str:
        """Base address of the deployed API, without a slash at its end."""
        api = self.outputs.get("ApiId") or self.resources.get("Api", "")
        stage = self.outputs.get("ApiStage", "v1")
        return f"{self.endpoint_url}/restapis/{api}/{stage}/_user_request_"

    def client(self, service: str) -> Any:
        """A boto3 client of the emulated AWS."""
        return deployment.client(self.state, service)

    def invoke(self, function: str, event: Any) -> Any:
        """Invoke a function by its logical id and return what it returned.

        Raises RuntimeError with the function's own message when it failed.
        """
        answer = self.client("lambda").invoke(
            FunctionName=self.resources.get(function, function),
            Payload=json.dumps(event).encode(),
            LogType="Tail",
        )
        body = json.loads(answer["Payload"].read() or b"null")
        if answer.get("FunctionError"):
            raise RuntimeError(f"{function}: {body}")
        return body


def up(
    folder: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    *,
    deploy: bool = True,
) -> Home:
    """Start the home unless it runs, and deploy unless nothing changed. HomeError says why not."""
    paths = Paths(folder or home_folder())
    with only_one(paths):
        state = load(paths)
        if state is None or set(state.living) != set(wanted_parts()):
            state = _start_afresh(paths, state, environment)
        else:
            say(f"  ok already running{'':<24}  (home {paths.home})")
        home = Home(paths, state)
        if deploy:
            _deploy(home)
        return home


def down(folder: Path | None = None) -> list[str]:
    """Stop all that `up` started, and only that; the names of what was stopped. Repeatable."""
    paths = Paths(folder or home_folder())
    if not paths.home.exists():
        return []
    with only_one(paths):
        state = load(paths)
        stopped = _stop_children(state.children if state else {})
        _wipe(paths)
        return stopped


def open_home(folder: Path | None = None) -> Home:
    """The home that runs; HomeError if none does."""
    paths = Paths(folder or home_folder())
    state = load(paths)
    if state is None or not state.living:
        raise HomeError("the laptop home is not running", "start it with `make up`")
    dead = sorted(set(state.children) - set(state.living))
    if dead:
        raise HomeError(f"the home is half dead: {', '.join(dead)} stopped", "run `make up`")
    return Home(paths, state)


def wanted_parts() -> tuple[str, ...]:
    """Names of the processes that a home consists of."""
    return tuple(name for name in PARTS if partners.exists(name))


def _start_afresh(paths: Paths, old: State | None, environment: Mapping[str, str]) -> State:
    if old is not None and old.living:
        dead = ", ".join(sorted(set(old.children) - set(old.living))) or "some parts"
        say(f"  !! half of the home is gone ({dead}): starting it afresh")
    elif old is None and paths.state.exists():
        say("  !! the state file cannot be read: starting afresh")
    _stop_children(old.children if old else {})
    _wipe(paths)
    state = new_state(environment)
    _need_ports(state)
    paths.run.mkdir(parents=True)
    try:
        _start_parts(paths, state)
    except BaseException:
        # Nothing half-started is left behind, whatever the reason, Ctrl-C included.
        with Uninterrupted():
            _stop_children(state.children)
            paths.state.unlink(missing_ok=True)
        raise
    return state


def _start_parts(paths: Paths, state: State) -> None:
    def begin(name: str, start: Callable[[Paths, State], Child]) -> None:
        # Between the start and the note of it, no interrupt may get in.
        with Uninterrupted():
            state.children[name] = start(paths, state)
            state.save(paths)

    # The slow starters first; they get ready while the others start.
    begin("aws", emulator.start_aws)
    begin("stripe", emulator.start_stripe)
    if partners.exists("bank"):
        begin("bank", lambda p, s: partners.start("bank", p, s))
    with step("PostgreSQL") as notes:
        begin("postgres", postgres.start)
        postgres.create_database(paths, state)
        notes.append(f"port {state.ports['postgres']}")
    with step("card network (localstripe)") as notes:
        emulator.await_stripe(state)
        notes.append(emulator.stripe_url(state))
    with step("settlement source") as notes:
        begin("settlement", lambda p, s: partners.start("settlement", p, s))
        state.partners["settlement"] = partners.await_ready("settlement", paths, state)
        notes.append(f"port {state.ports['settlement']}")
    if partners.exists("bank"):
        with step("bank (SFTP)") as notes:
            state.partners["bank"] = partners.await_ready("bank", paths, state)
            notes.append(f"port {state.ports['bank']}")
    with step("AWS emulator") as notes:
        emulator.await_aws(state)
        notes.append(emulator.endpoint(state))
    state.save(paths)


def _deploy(home: Home) -> None:
    values = parameter_values(home, ROOT)
    if home.state.deployment.get("fingerprint") == deployment.fingerprint(values):
        say("  ok deployed stack is up to date")
        return
    source = deployment.snapshot(home.paths)
    values = parameter_values(home, source)
    print_of_sources = deployment.fingerprint(values, source)
    with step("sam build"):
        deployment.build(home.paths, home.state, values)
    with step("sam deploy") as notes:
        deployment.deploy(home.paths, home.state, values)
        resources = deployment.stack_resources(home.state)
        home.state.deployment = {
            "fingerprint": print_of_sources,
            "stack": deployment.STACK,
            "outputs": deployment.stack_outputs(home.state),
            "resources": resources,
            "at": deployment.now_text(),
        }
        home.state.save(home.paths)
        functions = sum(name.endswith("Function") for name in resources)
        notes.append(f"{len(resources)} resources, {functions} functions")


def parameter_values(home: Home, source: Path) -> dict[str, str]:
    """What is passed to the template that stands in `source`."""
    template = (source / "template.yaml").read_text()
    return deployment.parameters(template, stack_parameters(home))


def stack_parameters(home: Home) -> dict[str, str]:
    """What a laptop tells the template; those that it does not declare are left out."""
    return {
        "DatabaseUrl": home.database_url,
        "DatabaseAdminUrl": home.database_admin_url,
        "DatabaseRuntimePassword": home.state.secrets["runtime"],
        "StripeApiBase": home.stripe_url,
        "StripeSettlementBase": home.settlement_url,
        "NotificationSender": "receipts@pardna.example",
        "NotificationsSender": "receipts@pardna.example",
    }


def _need_ports(state: State) -> None:
    """HomeError that names every port that somebody else holds."""
    taken = {name: port for name, port in state.ports.items() if answers_tcp(port)}
    if not taken:
        return
    lines = [f"port {port} ({name}) is in use by {holder_of(port)}" for name, port in taken.items()]
    first = next(iter(taken))
    raise HomeError(
        "\n".join(lines),
        f"stop it, or choose another port: PARDNA_PORT_{first.upper()}=… make up,"
        " or let the system choose all: PARDNA_PORTS=free make up",
    )


def _stop_children(children: Mapping[str, Child]) -> list[str]:
    # The emulator keeps nothing, so there is nothing to wait for.
    patience_s = {"aws": 1.0}
    signals: dict[str, int] = {"postgres": int(postgres.STOP_SIGNAL)}
    order = [n for n in ("aws", "bank", "settlement", "stripe", "postgres") if n in children]
    return [
        name
        for name in order
        if stop(
            children[name],
            first=signals.get(name, int(emulator.STOP_SIGNAL)),
            patience_s=patience_s.get(name, 10.0),
        )
    ]


def _wipe(paths: Paths) -> None:
    paths.state.unlink(missing_ok=True)
    for folder in (paths.run, paths.build, paths.source):
        shutil.rmtree(folder, ignore_errors=True)


class Uninterrupted(contextlib.AbstractContextManager[None]):
    """Hold Ctrl-C back for a moment; it counts as soon as the block is left."""

    def __enter__(self) -> None:
        self._pending = False
        try:
            self._old: Any = signal.signal(signal.SIGINT, self._remember)
        except ValueError:  # not in the main thread: Python delivers no Ctrl-C here anyway
            self._old = None

    def _remember(self, *_: object) -> None:
        self._pending = True

    def __exit__(self, *_: object) -> None:
        if self._old is not None:
            signal.signal(signal.SIGINT, self._old)
        if self._pending:
            raise KeyboardInterrupt
