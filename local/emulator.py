"""MiniStack, which stands in for AWS, and localstripe, which stands in for the card network."""

from __future__ import annotations

import os
import signal

from local.console import HomeError
from local.processes import (
    Child,
    answers_http,
    quiet_environment,
    spawn,
    wait_until,
)
from local.state import ROOT, Paths, State

TOOLS = ROOT / ".tools" / "bin"
DEADLINE_S = 45.0
REGION = "us-east-1"
STOP_SIGNAL = signal.SIGTERM


def tool(name: str) -> str:
    """Path of a program in the tools' environment; HomeError if it is not installed."""
    path = TOOLS / name
    if not path.exists():
        raise HomeError(f"{name} is not installed", "remove the folder .tools and run `make setup`")
    return str(path)


def aws_environment(state: State) -> dict[str, str]:
    """What an AWS client needs to speak with this home, and never with a real account."""
    return {
        "AWS_ENDPOINT_URL": endpoint(state),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAM_CLI_TELEMETRY": "0",
    }


def endpoint(state: State) -> str:
    """Base address of the emulated AWS."""
    return f"http://127.0.0.1:{state.ports['aws']}"


def stripe_url(state: State) -> str:
    """Base address of localstripe."""
    return f"http://127.0.0.1:{state.ports['stripe']}"


def start_aws(paths: Paths, state: State) -> Child:
    """Start MiniStack with everything that it writes below the home."""
    data = paths.run / "aws"
    (data / "tmp").mkdir(parents=True)
    launcher = ROOT / "local" / "ministack_launcher.py"
    return spawn(
        "aws",
        [tool("python"), str(launcher)],
        mark=str(launcher),
        log=paths.logs / "aws.log",
        cwd=data,
        environment=quiet_environment(
            GATEWAY_PORT=str(state.ports["aws"]),
            BIND_HOST="127.0.0.1",
            MINISTACK_REGION=REGION,
            AWS_ACCESS_KEY_ID="test",
            AWS_SECRET_ACCESS_KEY="test",
            STATE_DIR=str(data / "state"),
            S3_DATA_DIR=str(data / "s3"),
            TMPDIR=str(data / "tmp"),
            SFTP_ENABLED="0",
            IOT_MTLS_ENABLED="0",
            LAMBDA_WARM_TTL_SECONDS="600",
            PYTHONUNBUFFERED="1",
        ),
    )


def await_aws(state: State) -> None:
    """Wait until MiniStack answers."""
    health = f"{endpoint(state)}/_ministack/health"
    wait_until(
        lambda: answers_http(health),
        child=state.children["aws"],
        what="The AWS emulator",
        deadline_s=DEADLINE_S,
    )


def start_stripe(paths: Paths, state: State) -> Child:
    """Start localstripe with its store below the home."""
    folder = paths.run / "stripe"
    folder.mkdir(parents=True)
    program = tool("localstripe")
    port = str(state.ports["stripe"])
    return spawn(
        "stripe",
        [tool("python"), program, "--port", port, "--from-scratch"],
        mark=f"{program} --port {port}",
        log=paths.logs / "stripe.log",
        cwd=folder,
        environment=quiet_environment(
            PYTHONPATH=str(ROOT / "local" / "shim"),
            PARDNA_STRIPE_STORE=str(folder / "store.pickle"),
            PYTHONUNBUFFERED="1",
        ),
    )


def await_stripe(state: State) -> None:
    """Wait until localstripe answers."""
    wait_until(
        lambda: answers_http(f"{stripe_url(state)}/v1/customers"),
        child=state.children["stripe"],
        what="The card network (localstripe)",
        deadline_s=DEADLINE_S,
    )
