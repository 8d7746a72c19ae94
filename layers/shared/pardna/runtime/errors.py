"""The one error tree.

    PardnaError                 anything that we expect and name
    ├── InvalidInput            the caller sent something that can never work      (400)
    │   └── UnreadableFile      bytes that no parser accepts                       (422)
    ├── NotAuthenticated        no, or a wrong, credential or signature            (401)
    ├── NotPermitted            known, but may not do this                         (403)
    ├── NotFound                not there, or not this tenant's                    (404)
    ├── Conflict                true a moment ago, not now                         (409)
    │   └── AlreadyDecided      a decision that was made before, differently       (409)
    ├── RefusedByRule           a business rule says no                            (422)
    ├── TooLarge                over a limit of ours or of AWS                     (413)
    └── Unavailable             try again: a dependency is down or slow            (503)
        ├── UntrustedHost       a host key that is not the pinned one; never retried (502)
        └── SignInRefused       a host that does not take our key; never retried, it locks (502)

Each error carries a stable, dotted `code` (``payout.limit_exceeded``). `runtime.problem` turns
the tree into HTTP; state machines receive the code as a value.
"""

from __future__ import annotations

from typing import ClassVar


class PardnaError(Exception):
    """Base of all expected errors: a stable `code`, a sentence for people, and safe `fields`.

    `fields` may be logged and shown: ids, codes and counts only, never personal data.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong"
    retryable: ClassVar[bool] = False

    def __init__(self, code: str, detail: str, **fields: str | int) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.fields = fields


class InvalidInput(PardnaError):
    status = 400
    title = "The request cannot be read"


class UnreadableFile(InvalidInput):
    status = 422
    title = "The file cannot be read"


class NotAuthenticated(PardnaError):
    status = 401
    title = "Who you are could not be established"


class NotPermitted(PardnaError):
    status = 403
    title = "You may not do this"


class NotFound(PardnaError):
    status = 404
    title = "There is no such thing here"


class Conflict(PardnaError):
    status = 409
    title = "The state has changed"


class AlreadyDecided(Conflict):
    title = "This was decided before"


class RefusedByRule(PardnaError):
    status = 422
    title = "A rule forbids this"


class TooLarge(PardnaError):
    status = 413
    title = "Too large"


class Unavailable(PardnaError):
    status = 503
    title = "Temporarily unavailable"
    retryable = True


class UntrustedHost(Unavailable):
    status = 502
    title = "The other side is not who it was"
    retryable = False


class SignInRefused(Unavailable):
    status = 502
    title = "The other side does not let us in"
    retryable = False
