"""What the demo does with its hands: logs people in, calls the API, the card network, the bank.

Nothing here reaches into the product: everything goes through a door that a person, a partner or
the cloud's own scheduler would use. Every wait is bounded and says what did not arrive.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, TypeVar

from local.console import HomeError
from local.home import Home

T = TypeVar("T")

#: For the laptop only, and printed at the end so that a person can log in.
PASSWORD = "Pardna-Demo-2026"
#: Long enough for a cold start on a machine that is busy with other things; a wait that ends early
#: would blame the story for the machine.
WAIT_S = 120.0
_PAUSE_S = 0.1
#: Statuses that mean "not now", and how often the story asks.
_BUSY, _TRIES = frozenset({429, 502, 503, 504}), 5


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API answered: a status, and JSON."""

    status: int
    body: Any

    @property
    def ok(self) -> bool:
        """Whether it did what was asked."""
        return 200 <= self.status < 300


class Unanswered(HomeError):
    """Something did not arrive in time, or was answered otherwise than the story needs."""


class Player:
    """Hands, and the keys to every door of one home."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._tokens: dict[str, str] = {}
        self._clients: dict[str, Any] = {}

    # ------------------------------------------------------------ people and the API

    def person(self, email: str, name: str, *, platform: bool = False) -> str:
        """Make sure that somebody has a login; their principal (Cognito's ``sub``)."""
        pool, cognito = self.home.outputs["UserPoolId"], self.client("cognito-idp")
        user = self._find_user(email)
        if user is None:
            cognito.admin_create_user(
                UserPoolId=pool,
                Username=email,
                MessageAction="SUPPRESS",
                UserAttributes=[
                    {"Name": "email", "Value": email},
                    {"Name": "email_verified", "Value": "true"},
                    {"Name": "name", "Value": name},
                ],
            )
            cognito.admin_set_user_password(
                UserPoolId=pool, Username=email, Password=PASSWORD, Permanent=True
            )
            if platform:
                cognito.admin_add_user_to_group(
                    UserPoolId=pool, Username=email, GroupName="platform"
                )
            user = cognito.admin_get_user(UserPoolId=pool, Username=email)["UserAttributes"]
        return next(one["Value"] for one in user if one["Name"] == "sub")

    def _find_user(self, email: str) -> list[dict[str, str]] | None:
        cognito = self.client("cognito-idp")
        try:
            found = cognito.admin_get_user(
                UserPoolId=self.home.outputs["UserPoolId"], Username=email
            )
        except cognito.exceptions.UserNotFoundException:
            return None
        return list(found["UserAttributes"])

    def token(self, email: str) -> str:
        """Somebody's id token; logs them in the first time."""
        if email not in self._tokens:
            answer = self.client("cognito-idp").admin_initiate_auth(
                UserPoolId=self.home.outputs["UserPoolId"],
                ClientId=self.home.outputs["UserPoolClientId"],
                AuthFlow="ADMIN_USER_PASSWORD_AUTH",
                AuthParameters={"USERNAME": email, "PASSWORD": PASSWORD},
            )
            self._tokens[email] = answer["AuthenticationResult"]["IdToken"]
        return self._tokens[email]

    def ask(
        self,
        who: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        key: str = "",
    ) -> Answer:
        """One request to the deployed API as `who` (an e-mail); any answer comes back.

        `key` is the idempotency key of a request that would otherwise do something each time.
        """
        headers = {"Authorization": self.token(who), "Content-Type": "application/json"}
        headers |= {"Idempotency-Key": key} if key else {}
        return send(f"{self.home.api_url}{path}", method, body, headers)

    def api(
        self,
        who: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        key: str = "",
    ) -> Any:
        """One request that must succeed; its JSON. `Unanswered` names what was answered.

        A busy server is asked again: everything that the story asks for may be asked twice.
        """
        answer = self.ask(who, method, path, body, key)
        for _ in range(_TRIES - 1):
            if answer.status not in _BUSY:
                break
            time.sleep(1.0)
            answer = self.ask(who, method, path, body, key)
        if not answer.ok:
            raise Unanswered(
                f"{method} {path} as {who} answered {answer.status}: {_short(answer.body)}",
                f"look at `make logs`, and at the files in {self.home.paths.logs}",
            )
        return answer.body

    # ------------------------------------------------------------ the cloud

    def client(self, service: str) -> Any:
        """A client of the emulated AWS, made once."""
        if service not in self._clients:
            self._clients[service] = self.home.client(service)
        return self._clients[service]

    def secret(self, name: str, parts: Mapping[str, str]) -> None:
        """Keep a secret's parts; the same parts again change nothing."""
        secrets, text = self.client("secretsmanager"), json.dumps(parts, sort_keys=True)
        try:
            known = secrets.get_secret_value(SecretId=name)["SecretString"]
        except secrets.exceptions.ResourceNotFoundException:
            secrets.create_secret(Name=name, SecretString=text)
            return
        if known != text:
            secrets.put_secret_value(SecretId=name, SecretString=text)

    def schedule_now(self, function: str, name: str) -> None:
        """Have EventBridge's scheduler start a function once, as soon as it looks."""
        scheduler = self.client("scheduler")
        account = "000000000000"
        at = (datetime.now(UTC) - timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S")
        physical = self.home.resources[function]
        try:
            scheduler.create_schedule(
                Name=name,
                ScheduleExpression=f"at({at})",
                FlexibleTimeWindow={"Mode": "OFF"},
                ActionAfterCompletion="DELETE",
                Target={
                    "Arn": f"arn:aws:lambda:us-east-1:{account}:function:{physical}",
                    "RoleArn": f"arn:aws:iam::{account}:role/demo-scheduler",
                    "Input": "{}",
                },
            )
        except scheduler.exceptions.ConflictException:
            return  # still waiting for its moment: that one will do

    def schedule_done(self, name: str) -> bool:
        """Whether a schedule of `schedule_now` has fired (it deletes itself)."""
        scheduler = self.client("scheduler")
        try:
            scheduler.get_schedule(Name=name)
        except scheduler.exceptions.ResourceNotFoundException:
            return True
        return False

    def verify_sender(self, address: str) -> None:
        """What an operator does once in AWS: prove that the address is ours, or SES sends nothing."""
        self.client("ses").verify_email_identity(EmailAddress=address)

    def sent_mail(self) -> list[dict[str, Any]]:
        """Every e-mail that the product sent, as the emulator shows it."""
        told = send(f"{self.home.endpoint_url}/_ministack/ses/messages").body
        return [one for account in told["messages"].values() for one in account]

    def sent_sms(self) -> list[dict[str, Any]]:
        """Every SMS that the product sent."""
        told = send(f"{self.home.endpoint_url}/_ministack/sns/sms-messages").body
        return [one for number in told["sms_messages"].values() for one in number]

    # ------------------------------------------------------------ partners

    @cached_property
    def stripe(self) -> Any:
        """The card network, through Stripe's own SDK."""
        import stripe

        return stripe.StripeClient(
            self.home.stripe_key, base_addresses={"api": self.home.stripe_url}
        ).v1

    def stripe_all(self, resource: str) -> Iterator[Any]:
        """Every object of a kind that the card network holds (``charges``, ``customers``)."""
        return iter(getattr(self.stripe, resource).list({"limit": 100}).auto_paging_iter())

    def intents(self) -> list[tuple[Any, dict[str, str]]]:
        """Every payment intent with its metadata."""
        return [(one, one.metadata.to_dict()) for one in self.stripe_all("payment_intents")]

    def stripe_webhook(self, name: str, url: str, secret: str) -> None:
        """Tell the card network where to send its events, as its dashboard would."""
        send(
            f"{self.home.stripe_url}/_config/webhooks/{name}",
            "POST",
            {"url": url, "secret": secret},
            {"Content-Type": "application/json"},
        )

    def settlement(self, path: str, body: Mapping[str, Any]) -> Any:
        """What the world decides at the card processor: disputes, payouts."""
        return self._partner(self.home.settlement_url, f"/_sim{path}", "POST", body)

    def bank(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """What happens at the bank: transfers, the end of a day; without a body, what it tells."""
        method = "GET" if body is None else "POST"
        return self._partner(self.home.bank_control_url, path, method, body)

    def _partner(self, base: str, path: str, method: str, body: Mapping[str, Any] | None) -> Any:
        answer = send(f"{base}{path}", method, body)
        if not answer.ok:
            raise Unanswered(f"{method} {path} was refused: {_short(answer.body)}")
        return answer.body

    # ------------------------------------------------------------ waiting

    def wait(
        self, what: str, look: Callable[[], T | None], *, seconds: float = WAIT_S, where: str = ""
    ) -> T:
        """Wait until `look` finds something; what it found. `Unanswered` says what is missing."""
        end = time.monotonic() + seconds
        while True:
            found = look()
            if found:
                return found
            if time.monotonic() > end:
                raise Unanswered(
                    f"waited {seconds:.0f} s for {what}: it did not arrive",
                    where or f"look at `make logs`, and at the files in {self.home.paths.logs}",
                )
            time.sleep(_PAUSE_S)


def send(
    url: str,
    method: str = "GET",
    body: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One HTTP request with a JSON body; whatever status comes back is an answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return Answer(response.status, _json(response.read()))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, _json(error.read()))
    except OSError as error:
        raise Unanswered(f"{method} {url}: no answer ({error})", "is the home running?") from None


def _json(content: bytes) -> Any:
    try:
        return json.loads(content or b"null")
    except ValueError:
        return content.decode(errors="replace")


def _short(body: Any) -> str:
    return (body if isinstance(body, str) else json.dumps(body))[:400]
