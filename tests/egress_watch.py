"""An audit hook by which whatever runs here connects to this machine alone: elsewhere is refused, and reported to a file.

https://docs.python.org/3/library/audit_events.html. No code that swallows the exception gets by: the file tells. In processes
that the tests start, `egress_site/sitecustomize.py` installs it again, unless they are not Python, or run with -E or -I.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

REPORT: Final = "EGRESS_WATCH_REPORT"
"""The variable of the environment that names the file; each line of it is an attempt."""
SITE: Final = Path(__file__).with_name("egress_site")
_EVENTS: Final = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_recordings: Final[list[list[str]]] = []
_paused = False
_installed = False


class ConnectedOutside(AssertionError):
    """Something would have connected, or sent a datagram, to an address that is not this machine's."""


def install() -> None:
    """Begin to watch this process, if nobody did, for good: an audit hook stays until the end."""
    global _installed
    if not _installed:
        _installed = True
        sys.addaudithook(_hook)


def pause(paused: bool) -> None:
    """Let everything pass from now on, or nothing more."""
    global _paused
    _paused = paused


@contextmanager
def recording() -> Iterator[list[str]]:
    """Yield the list that every address gets into to which this process now connects."""
    addresses: list[str] = []
    _recordings.append(addresses)
    try:
        yield addresses
    finally:
        _recordings.remove(addresses)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _EVENTS and not _paused:
        _judge(event, *arguments[:2])


def _judge(event: str, connecting: Any, address: Any) -> None:
    from socket import AF_INET, AF_INET6, SOCK_DGRAM

    if connecting.family not in (AF_INET, AF_INET6) or address is None:
        return
    # A datagram socket that is connected sends nothing yet: that is how a machine learns its own address.
    if event == "socket.connect" and connecting.type == SOCK_DGRAM:
        return
    for addresses in _recordings:
        addresses.append(str(address[0]))
    if not is_here(str(address[0])):
        _refuse(f"{event} {address!r} in {sys.argv!r}, {os.environ.get('PYTEST_CURRENT_TEST', 'no test')}")


def is_here(host: str) -> bool:
    """Whether that is loopback; a name is not, but for localhost: who knows what it leads to."""
    from ipaddress import IPv6Address, ip_address

    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def _refuse(text: str) -> None:
    if report := os.environ.get(REPORT):
        with open(report, "a") as file:
            file.write(text.replace("\n", " ") + "\n")
    raise ConnectedOutside(text)
