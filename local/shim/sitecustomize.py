"""Keep a stand-in inside its home: its store file and its listening address.

localstripe writes its store to one fixed path and listens on every interface. Put first on the
path of that process (and of no other), this moves the file below the home and the socket to
loopback, without touching or importing the program.
"""

from __future__ import annotations

import builtins
import os
import socket
from typing import Any

_FROM = "/tmp/localstripe.pickle"
_TO = os.environ.get("PARDNA_STRIPE_STORE", "")
_open = builtins.open
_init = socket.socket.__init__
_bind = socket.socket.bind


def _open_here(file: Any, *args: Any, **kwargs: Any) -> Any:
    return _open(_TO if file == _FROM else file, *args, **kwargs)


def _init_ipv4(self: socket.socket, family: int = -1, *args: Any, **kwargs: Any) -> None:
    # Not every machine has IPv6, and nobody here needs it.
    _init(self, socket.AF_INET if family == socket.AF_INET6 else family, *args, **kwargs)


def _bind_loopback(self: socket.socket, address: Any) -> None:
    _bind(self, ("127.0.0.1", address[1]) if address[0] == "::" else address)


if _TO:
    builtins.open = _open_here
    socket.socket.__init__ = _init_ipv4  # type: ignore[method-assign,assignment]
    socket.socket.bind = _bind_loopback  # type: ignore[method-assign,assignment]
