"""Start MiniStack so that its Transfer Family tells when a file was written, as AWS does.

As it comes it says "now" for every file whenever asked, so that each look shows another file. Run
by the tools' interpreter; the patch asserts the text that it replaces.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from local.ministack_launcher import expect


def tell_when_written() -> None:
    """Let a file's time be that of its object."""
    from ministack.services import transfer

    transfer._ensure_sftp_runtime()
    server = transfer._MiniStackSFTPServer
    look, listing = server.stat, server.scandir
    expect(look, 'return self._attrs_for_file(obj.get("size", 0), int(time.time()))')
    expect(listing, 'attrs = self._attrs_for_file(obj.get("size", 0), int(time.time()))')

    def timed(self: Any, path: bytes, attributes: Any) -> Any:
        bucket, key = self._resolve(path)
        if found := transfer._sftp_s3_get_object(self._account_id, bucket, key):
            written = datetime.fromisoformat(found["last_modified"])
            attributes.mtime = attributes.atime = int(written.timestamp())
        return attributes

    async def scandir(self: Any, path: bytes) -> AsyncIterator[Any]:
        async for name in listing(self, path):
            timed(self, path + b"/" + name.filename, name.attrs)
            yield name

    server.stat = lambda self, path: timed(self, path, look(self, path))
    server.scandir = scandir


if __name__ == "__main__":
    tell_when_written()
    from ministack.app import main

    main()
