"""Fakes of what payments need of the world; each can fail on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pardna.money.model import Money
from pardna.payments.model import CardCharge, PayingBank
from pardna.payments.ports import Approval, Charged, Dropbox
from pardna.runtime.errors import Conflict, NotFound, NotPermitted, Unavailable


class Killed(BaseException):
    """The process ends here: no `except Exception` sees it."""


class MemoryDropboxes:
    """A bank's folders in memory. `fail` is called with the name of each step before it happens,
    and with ``after:`` before its name once it happened."""

    def __init__(self) -> None:
        self.waiting: dict[str, bytes] = {}
        self.done: dict[str, bytes] = {}
        self.parts: dict[str, bytes] = {}
        self.completed_count = 0
        self.fail: Callable[[str], None] = lambda step: None

    @contextmanager
    def open(self, tenant_id: str, bank: PayingBank) -> Iterator[Dropbox]:
        self.fail("open")
        yield MemoryDropbox(self)

    def process(self) -> None:
        """The bank takes what is waiting."""
        self.done |= self.waiting
        self.waiting = {}


class MemoryDropbox:
    """One session."""

    def __init__(self, boxes: MemoryDropboxes) -> None:
        self._boxes = boxes

    def find(self, name: str) -> int | None:
        self._boxes.fail("find")
        content = self._boxes.waiting.get(name, self._boxes.done.get(name))
        return None if content is None else len(content)

    def has_part(self, name: str) -> bool:
        return name in self._boxes.parts

    def put_part(self, name: str, content: bytes) -> None:
        self._boxes.fail("put_part")
        self._boxes.parts[name] = content
        self._boxes.fail("after:put_part")

    def complete(self, name: str) -> None:
        self._boxes.fail("complete")
        if name in self._boxes.waiting:
            raise Conflict("payment.name_taken", "a file of this name is there")
        self._boxes.waiting[name] = self._boxes.parts.pop(name)
        self._boxes.completed_count += 1
        self._boxes.fail("after:complete")


class MemoryFiles:
    """Written files."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self._put_before: set[str] = set()

    def put(self, key: str, content: bytes) -> bool:
        known = self.objects.setdefault(key, content)
        if known != content:
            raise Conflict("payment.file_differs", "another file has this name")
        is_new = key not in self._put_before
        self._put_before.add(key)
        return is_new

    def read(self, key: str) -> bytes:
        if key not in self.objects:
            raise NotFound("payment.no_file", "there is no such payment file")
        return self.objects[key]


class OneBank:
    """The tenant has one paying account."""

    def __init__(self, bank: PayingBank) -> None:
        self.bank = bank

    def paying_bank(self, tenant_id: str, source_id: str) -> PayingBank:
        if source_id != self.bank.source_id:
            raise NotFound("payment.no_bank", "there is no such source")
        return self.bank


class SaidYes:
    """Somebody approved exactly one subject and amount."""

    def __init__(self, subject: str, amount: Money, by: str = "ben") -> None:
        self.yes = (subject, amount, by)

    def approved(self, tenant_id: str, approval_id: str, subject: str, amount: Money) -> Approval:
        if (subject, amount) != self.yes[:2]:
            raise NotPermitted("payment.not_approved", "nobody has approved this payment")
        return Approval(approval_id, self.yes[2])


class MemoryCardRail:
    """A card provider without memory of idempotency keys, as localstripe is."""

    def __init__(self) -> None:
        self.charges: list[CardCharge] = []
        self.declines = False
        self.lose_answer: type[BaseException] | None = None

    def charge(self, request: CardCharge, idempotency_key: str) -> Charged:
        if self.declines:
            return Charged("declined", code="card_declined")
        self.charges.append(request)
        if self.lose_answer is not None:
            lost, self.lose_answer = self.lose_answer, None
            if issubclass(lost, Unavailable):
                raise Unavailable("card.unknown_outcome", "the provider did not say")
            raise lost
        return self._charged(request)

    def find(self, request: CardCharge) -> Charged | None:
        return self._charged(request) if request in self.charges else None

    def _charged(self, request: CardCharge) -> Charged:
        return Charged("charged", f"pi_{request.contribution_id}", f"ch_{request.contribution_id}")
