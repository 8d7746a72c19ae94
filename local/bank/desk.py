"""The bank at work: books, folders and formats together, one action at a time."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

from local.bank import camt, mt940
from local.bank.books import BookFile
from local.bank.folders import Folders
from local.bank.model import BANKS, Account, Bank, Entry, Refused, Statement
from local.bank.pain002 import Report, report_file
from local.bank.payments import process

CORRUPTIONS = ("closing_balance", "missing_page", "truncated")
_RENDER = {"camt.053.001.08": camt.statement_file, "MT940": mt940.statement_file}
_EXTENSION = {"camt.053.001.08": "xml", "MT940": "sta"}


class Desk:
    """Both banks. Used from the SFTP server and from the control port at the same time."""

    def __init__(self, root: Path) -> None:
        self.lock = threading.RLock()
        self.folders = {user: Folders(root, user) for user in BANKS}
        self._file = BookFile(root / ".state" / "books.json")
        self.books = self._file.load()
        self.holding = False
        self._open_uploads: set[Path] = set()

    def book(self, entry: Entry) -> Entry:
        """Book an entry and keep it."""
        with self.lock:
            booked = self.books.book(entry)
            self.save()
            return booked

    def write_statement(
        self, number: str, day: str, name: str | None = None, corrupt: str | None = None
    ) -> Path:
        """Close the day and put its statement into `out/`. Raises `Refused`.

        `name` writes the same bytes under another name. `corrupt` writes a statement that is wrong
        in one way; the books and the true statement stay as they are.
        """
        if corrupt is not None and corrupt not in CORRUPTIONS:
            raise Refused(f"corrupt must be one of {', '.join(CORRUPTIONS)}")
        with self.lock:
            statement = self.books.close_day(number, day)
            self.save()
            account = self.books.account(number)
            bank = BANKS[account.bank]
            entries = self.books.entries_of(statement)
            content = _rendered(bank, account, statement, entries, corrupt)
            if name is None:
                kind = bank.format.split(".00")[0].replace(".", "")
                mark = f"_{corrupt}" if corrupt else ""
                name = f"{kind}_{number}_{day.replace('-', '')}{mark}.{_EXTENSION[bank.format]}"
            return self.folders[bank.user].publish(_plain_name(name), content)

    def write_notification(self, number: str, day: str) -> Path:
        """Put a camt.054 of a day's entries into `out/`. Raises `Refused`."""
        with self.lock:
            account = self.books.account(number)
            bank = BANKS[account.bank]
            entries = [
                one
                for one in self.books.entries.values()
                if one.account == number and one.booking_date == day
            ]
            if not entries:
                raise Refused(f"nothing is booked on {number} on {day}")
            content = camt.notification_file(bank, account, day, entries)
            name = f"camt054_{number}_{day.replace('-', '')}.xml"
            return self.folders[bank.user].publish(name, content)

    def upload_started(self, path: Path) -> None:
        """A client has a file open for writing: leave it alone."""
        with self.lock:
            self._open_uploads.add(path)

    def upload_ended(self, path: Path) -> None:
        """A client has closed the file."""
        with self.lock:
            self._open_uploads.discard(path)

    def sweep(self) -> list[Report]:
        """Process every complete upload. Does nothing while payments are held."""
        with self.lock:
            if self.holding:
                return []
            return [
                self._process(BANKS[user], folders, upload)
                for user, folders in self.folders.items()
                for upload in folders.complete_uploads(self._open_uploads)
            ]

    def digest(self) -> dict[str, str]:
        """A hash per file in the visible folders, and one over the books."""
        with self.lock:
            found = {"books": hashlib.sha256(self.books.canonical().encode()).hexdigest()}
            for user, folders in self.folders.items():
                for path in sorted(folders.home.rglob("*")):
                    if path.is_file():
                        name = f"{user}/{path.relative_to(folders.home)}"
                        found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
            return found

    def save(self) -> None:
        """Keep the books."""
        self._file.save(self.books)

    def _process(self, bank: Bank, folders: Folders, upload: Path) -> Report:
        report = process(self.books, bank, upload.name, upload.read_bytes())
        self.save()
        folders.publish(report.file_name(), report_file(bank, report))
        folders.retire(upload)
        return report


def _rendered(
    bank: Bank, account: Account, statement: Statement, entries: list[Entry], corrupt: str | None
) -> bytes:
    render = _RENDER[bank.format]
    if corrupt == "closing_balance":
        wrong = statement.closing_minor + 1
        return render(bank, account, statement, entries, closing_minor=wrong)
    if corrupt == "missing_page":
        # The first of two pages; the second never comes.
        half = entries[: (len(entries) + 1) // 2]
        return render(bank, account, statement, half, page=1, last_page=False)
    content = render(bank, account, statement, entries)
    return content[: len(content) * 2 // 3] if corrupt == "truncated" else content


def _plain_name(name: str) -> str:
    if "/" in name or name in ("", ".", "..") or name.startswith("."):
        raise Refused(f"not a file name: {name!r}")
    return name
