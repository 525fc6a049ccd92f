"""Which addresses may be dialled, told a second time: by the RFCs' own pictures, on hexadecimal digits, without `ipaddress`."""

import functools
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

# IANA's registries of special-purpose addresses, and of IPv6 as a whole, of which only 2000::/3 is given out.
_SPECIAL_IPV4: Final = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24"),
    *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
)
_SPECIAL_IPV6: Final = (
    *("::/3", "4000::/2", "8000::/1"),
    *("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3ffe::/16", "3fff::/20"),
)
METADATA_IPV4: Final = (
    *("169.254.169.254", "169.254.170.2", "169.254.170.23", "168.63.129.16", "100.100.100.200", "192.0.0.192"),
    *("169.254.0.23", "169.254.42.42"),
)
METADATA_IPV6: Final = (
    *("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fe80::a9fe:a9fe", "fd00:42::42", "fd00:c1::a9fe:a9fe"),
    *("fd00:a9fe:a9fe::1", "fd00:100::100:200"),
)
SPECIAL: Final = (*_SPECIAL_IPV4, *_SPECIAL_IPV6)


@dataclass(frozen=True)
class Rule:
    """What an operator opens: a network, written address/bits, at one port or at all (None)."""

    network: str
    port: int | None = None

    def __str__(self) -> str:
        return f"{self.network}:{self.port or '*'}"


@functools.cache
def digits(address: str) -> str:
    """Return the 8 or 32 hexadecimal digits of an address."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address).hex()


_METADATA: Final = frozenset(map(digits, (*METADATA_IPV4, *METADATA_IPV6)))


def written(found: str) -> str:
    """Return an address of its digits."""
    return socket.inet_ntop(socket.AF_INET6 if len(found) == 32 else socket.AF_INET, bytes.fromhex(found))


def within(found: str, network: str) -> bool:
    """Whether an address, by its digits, is in a network."""
    base, _, bits = network.partition("/")
    other = digits(base)
    return len(other) == len(found) and _bits(other)[: int(bits)] == _bits(found)[: int(bits)]


@functools.cache
def _bits(found: str) -> str:
    return "".join(f"{int(digit, 16):04b}" for digit in found)


def readings(h: str) -> Iterator[str]:
    """Yield the digits of each address that something on the way may take this one for."""
    if len(h) == 8:
        yield h
    elif h[:24] == "0" * 20 + "ffff":  # RFC 4291, 2.5.5.2: the system itself dials IPv4
        yield h[24:]
    else:
        yield h
        yield from _embedded(h)


def _embedded(h: str) -> Iterator[str]:
    if h[:24] == "0" * 24 and h[24:] not in ("00000000", "00000001"):  # RFC 4291, 2.5.5.1
        yield h[24:]
    if h[:24] in ("0" * 16 + "ffff0000", "0064ff9b" + "0" * 16):  # RFC 2765, 2.1; RFC 6052, 2.1
        yield h[24:]
    if h[:12] == "0064ff9b0001":  # RFC 8215
        yield from _local(h)
    if h[:4] == "2002":  # RFC 3056, 2
        yield h[4:12]
    if h[:8] == "20010000":  # RFC 4380, 4: server, and client with its bits inverted
        yield h[8:16]
        yield f"{0xFFFFFFFF - int(h[24:], 16):08x}"
    if h[16:24] in ("00005efe", "02005efe"):  # RFC 5214, 6.1
        yield h[24:]


def _local(h: str) -> Iterator[str]:
    """The pictures of RFC 6052, 2.2: digits 16 and 17 are always skipped. What is no address there has a first byte of zero."""
    for found, suffix in ((h[12:16] + h[18:22], h[22:]), (h[14:16] + h[18:24], h[24:]), (h[18:26], h[26:])):
        if found[:2] != "00" or not int(suffix, 16):
            yield found
    if int(h[26:], 16):
        yield h[24:]


def may_dial(address: str, port: int, rules: tuple[Rule, ...], *, trusted: bool) -> bool:
    """Whether every reading of the address may be dialled."""
    return all(_open(h, port, rules) or _public(h, port, trusted=trusted) for h in readings(digits(address)))


def _open(h: str, port: int, rules: tuple[Rule, ...]) -> bool:
    fitting = (rule for rule in rules if rule.port in (None, port) and within(h, rule.network))
    return any(h not in _METADATA or rule.network.endswith(f"/{len(h) * 4}") for rule in fitting)


def _public(h: str, port: int, *, trusted: bool) -> bool:
    if h in _METADATA or trusted:
        return h not in _METADATA
    return (port in (80, 443) or port >= 1024) and not any(within(h, network) for network in SPECIAL)
