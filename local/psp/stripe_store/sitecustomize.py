"""Gives a localstripe process a store file of its own.

localstripe keeps its store in one fixed file, `/tmp/localstripe.pickle`, so two of them on a machine
overwrite each other, and one that is killed while it writes leaves half a file. Python imports this
module by itself when its folder is on PYTHONPATH; it then redirects that one path to
`LOCALSTRIPE_STORE` and replaces the file as a whole. Nothing of localstripe is imported or changed.
"""

import builtins
import os
from types import TracebackType
from typing import Any

_FIXED = "/tmp/localstripe.pickle"
_plain_open = builtins.open


class _Replacing:
    """A writer whose file appears at its final path only when everything was written."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = _plain_open(path + ".tmp", "wb")

    def write(self, data: bytes) -> int:
        return self._file.write(data)

    def __enter__(self) -> "_Replacing":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        if kind is None:
            os.replace(self._path + ".tmp", self._path)


def _open(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
    store = os.environ.get("LOCALSTRIPE_STORE")
    if store is None or file != _FIXED:
        return _plain_open(file, mode, *args, **kwargs)
    return _Replacing(store) if "w" in mode else _plain_open(store, mode, *args, **kwargs)


builtins.open = _open
