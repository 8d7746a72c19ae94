"""A message to a person, and the templates that it is written from. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from types import MappingProxyType

from pardna.runtime.errors import InvalidInput

SMS_MAX = 320


@dataclass(frozen=True, slots=True, repr=False)
class Recipient:
    """Whom to tell, and where; personal data, so it does not print."""

    name: str
    email: str = ""
    phone: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """`about` is the id of what it tells of: one message per template and subject."""

    tenant_id: str
    template: str
    about: str
    recipient: Recipient
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Template:
    """The texts of one kind of message; ``{name}`` and the message's values are filled in."""

    subject: str
    email: str
    sms: str


@dataclass(frozen=True, slots=True, repr=False)
class Written:
    """A message as it is sent."""

    subject: str
    email: str
    sms: str


TEMPLATES: Mapping[str, Template] = MappingProxyType(
    {
        "transfer_request": Template(
            subject="{circle}: your hand for round {round}",
            email=(
                "Dear {name},\n\n"
                "round {round} of {rounds} of {circle} is open. Please transfer {amount}\n"
                "by {due_on} to account {account} with the reference\n\n"
                "    {reference}\n\n"
                "The reference tells us whose hand it is: please copy it exactly.\n"
            ),
            sms="{circle} round {round}: please transfer {amount} by {due_on} to {account}, ref {reference}",
        ),
        "contribution_receipt": Template(
            subject="{circle}: receipt for round {round}",
            email=(
                "Dear {name},\n\n"
                "your hand of {amount} for round {round} of {rounds} of {circle} has arrived\n"
                "({rail}, reference {reference}). Please keep this receipt.\n"
            ),
            sms="{circle} round {round}: {amount} received, ref {reference}. Thank you.",
        ),
        "draw_receipt": Template(
            subject="{circle}: your draw of round {round}",
            email=(
                "Dear {name},\n\n"
                "it is your turn: the draw of round {round} of {rounds} of {circle} was paid\n"
                "to your account and confirmed by the bank.\n\n"
                "    Pot        {pot}\n    Fee        {fee}\n    Paid out   {amount}\n"
                "    Reference  {reference}\n\nPlease keep this receipt.\n"
            ),
            sms="{circle} round {round}: your draw of {amount} was paid, ref {reference}.",
        ),
        "approval_needed": Template(
            subject="{circle}: a payout of {amount} waits for approval",
            email=(
                "Dear {name},\n\n"
                "the draw of round {round} of {circle}, {amount}, waits for a second person's\n"
                "approval. Whoever started the round cannot approve it.\n"
            ),
            sms="{circle}: a payout of {amount} waits for a second person's approval.",
        ),
    }
)  # fmt: skip


def write(message: Message) -> Written:
    """The texts of a message.

    Raises InvalidInput ``notification.template`` for an unknown template or a missing value.
    """
    template = TEMPLATES.get(message.template)
    if template is None:
        raise InvalidInput("notification.template", "there is no such template")
    values = {"name": message.recipient.name, **message.values}
    missing = sorted(_fields(template) - set(values))
    if missing:
        raise InvalidInput("notification.template", f"{', '.join(missing)} is missing")
    # Line breaks in a value could forge a line of the message or a header of the mail.
    clean = {k: " ".join(v.split()) for k, v in values.items()}
    return Written(
        subject=template.subject.format_map(clean),
        email=template.email.format_map(clean),
        sms=template.sms.format_map(clean)[:SMS_MAX],
    )


def _fields(template: Template) -> set[str]:
    texts = (template.subject, template.email, template.sms)
    return {name for text in texts for _, name, _, _ in Formatter().parse(text) if name}
