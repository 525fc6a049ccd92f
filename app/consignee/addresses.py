"""What addresses are set aside for, and which others may hide in one."""

import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# An own table, from IANA's special-purpose registries: ipaddress.is_global lets many of these through.
_SPECIAL: Final = {
    "unspecified": "0.0.0.0/8",
    "private": "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16",
    "shared behind a carrier": "100.64.0.0/10",
    "loopback": "127.0.0.0/8",
    "link-local": "169.254.0.0/16",
    "for protocols": "192.0.0.0/24 192.52.193.0/24 2001::/23",
    "for documentation": "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32 3fff::/20",
    "a sink for queries": "192.31.196.0/24 192.175.48.0/24 2620:4f:8000::/48",
    "6to4": "192.88.99.0/24 2002::/16",
    "for benchmarks": "198.18.0.0/15",
    "multicast": "224.0.0.0/4",
    "reserved": "240.0.0.0/4 3ffe::/16",
}
_TABLE: Final = [(ip_network(text), what) for what, texts in _SPECIAL.items() for text in texts.split()]
_GLOBAL_IPV6: Final = IPv6Network("2000::/3")
# Where clouds hand out the credentials of their machines. Azure's looks like any public address.
_METADATA_OF: Final = {
    "Amazon": "169.254.169.254 169.254.170.2 169.254.170.23 fd00:ec2::254 fd00:ec2::23",
    "Akamai": "fd00:a9fe:a9fe::1",
    "Azure": "168.63.129.16",
    "Google": "fd20:ce::254",
    "OpenStack": "fe80::a9fe:a9fe",
    "Alibaba, Tencent": "100.100.100.200 fd00:100::100:200 169.254.0.23",
    "Oracle": "192.0.0.192 fd00:c1::a9fe:a9fe",
    "Scaleway": "169.254.42.42 fd00:42::42",
}
METADATA: Final = {ip_address(text) for texts in _METADATA_OF.values() for text in texts.split()}
_LAST_32_BITS: Final = [IPv6Network(text) for text in ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96")]
_LOCAL_NAT64: Final = IPv6Network("64:ff9b:1::/48")
_NOWHERE: Final = IPv4Network("0.0.0.0/8")


def is_address(host: str) -> bool:
    """Whether a host is an address, and not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_own_address(address: Address) -> bool:
    """Whether this machine itself has the address. Sends nothing."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
        # Where the kernel lets anybody bind a foreign address, only the source that it chooses tells.
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return ip_address(probe.getsockname()[0]) == address
    except OSError:
        return False


def special(address: Address) -> str | None:
    """Return what the address is set aside for, or None if it is anybody's."""
    if isinstance(address, IPv6Address) and address not in _GLOBAL_IPV6:
        return "not global"
    return next((what for network, what in _TABLE if address in network), None)


def forms(address: Address) -> Iterator[Address]:
    """Yield what has to be allowed: the address, and each IPv4 address that a tunnel may make of it."""
    if isinstance(address, IPv4Address):
        yield address
    elif address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    else:
        yield address
        yield from _embedded(address)


def _embedded(address: IPv6Address) -> Iterator[IPv4Address]:
    value = int(address)
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in _LOCAL_NAT64:
        yield from _translated(value)
    is_isatap = value >> 32 & 0xFDFFFFFF == 0x5EFE
    # :: and ::1 lie in ::/96 too, but no IPv4 address is meant there.
    if is_isatap or (value > 1 and any(address in network for network in _LAST_32_BITS)):
        yield IPv4Address(value & 0xFFFFFFFF)


def _translated(value: int) -> Iterator[IPv4Address]:
    """Yield the IPv4 address by each layout of RFC 6052, section 2.2: any may be in use, and no suffix has to be zero."""
    without_byte_8 = value >> 64 << 56 | value & (1 << 56) - 1
    for length in (48, 56, 64):
        number, suffix = divmod(without_byte_8, 1 << 88 - length)
        found = IPv4Address(number & 0xFFFFFFFF)
        # Between a prefix of 96 bits and its address stand zeros; nobody is sent to 0.0.0.0/8 by that.
        if suffix == 0 or found not in _NOWHERE:
            yield found
    if value & 0xFFFFFF:
        yield IPv4Address(value & 0xFFFFFFFF)
