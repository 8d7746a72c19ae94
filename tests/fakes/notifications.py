"""Fakes of the ways to a person."""

from __future__ import annotations


class Outgoing:
    """E-mail and SMS in memory; `fail` is raised once, instead of sending."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, str, str]] = []
        self.texts: list[tuple[str, str]] = []
        self.fail: dict[str, BaseException] = {}

    @property
    def mail(self) -> _Mail:
        return _Mail(self)

    @property
    def sms(self) -> _Texts:
        return _Texts(self)


class _Mail:
    def __init__(self, out: Outgoing) -> None:
        self._out = out

    def send(self, address: str, subject: str, text: str) -> None:
        if error := self._out.fail.pop("mail", None):
            raise error
        self._out.mails.append((address, subject, text))


class _Texts:
    def __init__(self, out: Outgoing) -> None:
        self._out = out

    def send(self, phone: str, text: str) -> None:
        if error := self._out.fail.pop("sms", None):
            raise error
        self._out.texts.append((phone, text))
