"""Hosts that a tenant names are reached on the public internet, and nowhere else.

Whoever may register a source could otherwise have us talk to what only we can reach: the function's
own loopback, an instance's metadata, neighbours in a private network. A name proves nothing (it may
answer differently the next time), so what counts is the address: resolved once, checked, and the
connection goes to that very address.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from pardna.runtime.errors import InvalidInput, UntrustedHost

#: Host, port, seconds to wait for the connection; raises OSError, UntrustedHost.
Dial = Callable[[str, int, float], socket.socket]

#: Addresses of one name that are tried, so that a name with hundreds does not hold us.
_TRIED_MAX = 4
#: What IANA has given out as unicast; in it, tunnels whose end is another address altogether.
_UNICAST = ip_network("2000::/3")
_TUNNELS = (ip_network("2002::/16"), ip_network("2001::/32"))
#: Protocols' own, of which releases of Python think differently (RFC 6890, RFC 7526).
_SPECIAL = (ip_network("192.0.0.0/24"), ip_network("192.88.99.0/24"))


def is_public(address: str) -> bool:
    """Whether an address, as digits, is one that everybody on the internet can have reached."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        elif found not in _UNICAST or any(found in tunnel for tunnel in _TUNNELS):
            return False
    return found.is_global and not (
        any(found in network for network in _SPECIAL)
        or found.is_multicast
        or found.is_private
        or found.is_loopback
        or found.is_link_local
        or found.is_reserved
        or found.is_unspecified
    )


def check_host(host: str) -> None:
    """Raises InvalidInput ``host.not_public`` for a host that has an address which is not public.

    A name that nobody knows yet passes: `dial_public` looks again.
    """
    try:
        found = _resolve(host, 0)
    except OSError:
        return
    if not all(is_public(str(where[0])) for _, where in found):
        raise InvalidInput("host.not_public", "the host is not one on the public internet")


def dial_public(host: str, port: int, seconds: float) -> socket.socket:
    """A connection to a public address of a host, and to none of its others.

    Raises UntrustedHost ``host.not_public``, and OSError as `socket.create_connection` does.
    """
    usable = [one for one in _resolve(host, port) if is_public(str(one[1][0]))]
    if not usable:
        raise UntrustedHost("host.not_public", "the host is not one on the public internet")
    return _connected(usable[:_TRIED_MAX], seconds)


def dial_anywhere(host: str, port: int, seconds: float) -> socket.socket:
    """A connection to a host wherever it is: for homes whose partners are on the same machine."""
    return socket.create_connection((host, port), timeout=seconds)


def dialer(stage: str) -> Dial:
    """How hosts are reached in a stage: on a laptop (``local``) anywhere, else in public only."""
    return dial_anywhere if stage == "local" else dial_public


#: Family and address of one answer.
_Found = tuple[int, tuple[Any, ...]]


def _resolve(host: str, port: int) -> list[_Found]:
    """Addresses of a host, in the resolver's order; raises OSError for a name that cannot be one."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except ValueError:  # a label that is empty or too long, a NUL
        raise socket.gaierror(socket.EAI_NONAME, "not a host's name") from None
    return [(family, where) for family, _, _, _, where in found]


def _connected(found: list[_Found], seconds: float) -> socket.socket:
    trouble: OSError | None = None
    for family, where in found:
        line = socket.socket(family, socket.SOCK_STREAM)
        try:
            line.settimeout(seconds)
            line.connect(where)
        except OSError as error:
            line.close()
            trouble = error
        else:
            return line
    raise trouble or OSError("no address")
