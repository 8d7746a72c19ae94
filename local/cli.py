"""The commands behind the Makefile: parse, call, say."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from local import home
from local.console import HomeError, report, say
from local.state import ROOT, Paths, home_folder, load


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit status."""
    given = _parser().parse_args(arguments)
    # `make` and terminals end a command by SIGTERM too: tidy up as with Ctrl-C.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return int(given.run(given))
    except HomeError as error:
        return report(error)
    except KeyboardInterrupt:
        say("\nstopped; `make status` shows what runs")
        return 130
    except BrokenPipeError:
        # The reader left (`make logs | head`): nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(required=True)
    start = commands.add_parser("up", help="start the home and deploy to it")
    start.add_argument("--no-deploy", action="store_true", help="start the stand-ins only")
    start.set_defaults(run=_up)
    commands.add_parser("deploy", help="deploy again to the home that runs").set_defaults(
        run=_deploy
    )
    commands.add_parser("down", help="stop all that `up` started").set_defaults(run=_down)
    commands.add_parser("status", help="what runs, and where").set_defaults(run=_status)
    logs = commands.add_parser("logs", help="what functions and stand-ins wrote")
    logs.add_argument("function", nargs="?", default="", help="logical id, e.g. ShowRoundFunction")
    logs.add_argument("--minutes", type=int, default=15)
    logs.set_defaults(run=_logs)
    invoke = commands.add_parser("invoke", help="invoke a function with an event file")
    invoke.add_argument("function", help="logical id, e.g. CaptureWebhookFunction")
    invoke.add_argument("event", help="a file in events/, or `-` for standard input")
    invoke.set_defaults(run=_invoke)
    return parser


def _up(given: argparse.Namespace) -> int:
    started = time.monotonic()
    say("Starting the laptop home")
    running = home.up(deploy=not given.no_deploy)
    say(f"\nReady in {time.monotonic() - started:.1f} s")
    _describe(running)
    return 0


def _deploy(_: argparse.Namespace) -> int:
    home.open_home()
    home.up()
    return 0


def _down(_: argparse.Namespace) -> int:
    stopped = home.down()
    say(f"Stopped {', '.join(stopped)}" if stopped else "Nothing was running")
    return 0


def _status(_: argparse.Namespace) -> int:
    paths = Paths(home_folder())
    state = load(paths)
    if state is None:
        say(f"The laptop home is not running (home {paths.home})")
        return 1
    for name in home.PARTS:
        child = state.children.get(name)
        alive = child is not None and child.alive
        where = f"port {state.ports[name]:<6} process {child.pid}" if child and alive else ""
        say(f"  {name:<12}{'runs' if alive else 'STOPPED':<10}{where}")
    _describe(home.Home(paths, state))
    return 0 if set(state.living) == set(home.PARTS) else 1


def _describe(running: home.Home) -> None:
    say(f"  AWS          {running.endpoint_url}")
    if running.resources:
        say(f"  API          {running.api_url}")
    say(f"  card network {running.stripe_url}")
    say(f"  settlement   {running.settlement_url}")
    say(f"  bank         sftp port {running.state.ports['bank']} on 127.0.0.1")
    say(f"  database     psql '{running.database_superuser_url}'")
    say(f"  logs         {running.paths.logs}, make logs FUNCTION=…")


def _logs(given: argparse.Namespace) -> int:
    running = home.open_home()
    functions = {k: v for k, v in running.resources.items() if k.endswith("Function")}
    if given.function and given.function not in functions:
        near = [name for name in functions if given.function.lower() in name.lower()]
        raise HomeError(
            f"no function is called {given.function}",
            f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(functions)}",
        )
    since_ms = int((time.time() - given.minutes * 60) * 1000)
    wanted = functions.get(given.function, "")
    lines = [
        line
        for group in _log_groups(running, functions.values())
        for line in _log_events(running, group, since_ms)
        if not wanted or f'"{wanted}"' in line[1] or group.endswith(wanted)
    ]
    for at_ms, message in sorted(lines):
        say(f"{time.strftime('%H:%M:%S', time.localtime(at_ms / 1000))} {message}")
    if not lines:
        say(f"nothing was written in the last {given.minutes} minutes")
    return 0


def _log_groups(running: home.Home, functions: Iterable[str]) -> list[str]:
    """Groups that functions write to: one of their own each, or one that they share."""
    present = {g["logGroupName"] for g in running.client("logs").describe_log_groups()["logGroups"]}
    own = {f"/aws/lambda/{name}" for name in functions}
    return sorted(name for name in present if name in own or name.endswith("/functions"))


def _log_events(running: home.Home, group: str, since_ms: int) -> list[tuple[int, str]]:
    """Time and text of a group's lines, without Lambda's own START, END and REPORT."""
    pages = running.client("logs").get_paginator("filter_log_events")
    frame = ("START RequestId", "END RequestId", "REPORT RequestId")
    return [
        (event["timestamp"], event["message"].rstrip())
        for page in pages.paginate(logGroupName=group, startTime=since_ms)
        for event in page["events"]
        if not event["message"].startswith(frame)
    ]


def _invoke(given: argparse.Namespace) -> int:
    running = home.open_home()
    functions = [name for name in running.resources if name.endswith("Function")]
    if given.function not in functions:
        what = f"no function is called {given.function}" if given.function else "which function?"
        raise HomeError(what, f"there are {', '.join(functions)}")
    if not given.event:
        raise HomeError("which event?", "a file in events/, or `-` for standard input")
    answer = running.client("lambda").invoke(
        FunctionName=running.resources[given.function],
        Payload=json.dumps(_event(given.event)).encode(),
        LogType="Tail",
    )
    body = json.loads(answer["Payload"].read() or b"null")
    say(json.dumps(body, indent=2, ensure_ascii=False))
    return 1 if answer.get("FunctionError") else 0


def _event(name: str) -> object:
    if name == "-":
        return json.load(sys.stdin)
    path = next((p for p in (Path(name), ROOT / name, ROOT / "events" / name) if p.is_file()), None)
    if path is None:
        raise HomeError(f"there is no event file {name}", "see the folder events/")
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise HomeError(f"{path} is not JSON: {error}") from None
