"""To which addresses we may connect: one policy, checked on the address that is being dialled."""

import errno
import functools
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver

from consignee import __version__
from consignee.endpoint import Endpoint, EndpointInvalid, parse_endpoint

__all__ = [
    "AddressRefused",
    "AllowRule",
    "Endpoint",
    "EndpointInvalid",
    "Guard",
    "Policy",
    "is_own_address",
    "open_session",
    "refused",
]

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
    "Azure": "168.63.129.16",
    "Google": "fd20:ce::254",
    "OpenStack": "fe80::a9fe:a9fe",
    "Alibaba, Oracle, Tencent": "100.100.100.200 192.0.0.192 169.254.0.23",
    "Scaleway": "169.254.42.42 fd00:42::42",
}
_METADATA: Final = {ip_address(text) for texts in _METADATA_OF.values() for text in texts.split()}
_LAST_32_BITS: Final = [IPv6Network(text) for text in ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96")]
_LOCAL_NAT64: Final = IPv6Network("64:ff9b:1::/48")
_RULE: Final = re.compile(r"(?:([0-9a-f.:]+)|\[([0-9a-f.:]+)\])(/[0-9]{1,3}):(\*|[0-9]{1,5})", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class AllowRule:
    """A network that the operator opens, at one port, or at all of them (None)."""

    network: Network
    port: int | None

    @classmethod
    def parse(cls, text: str) -> "AllowRule":
        """Return the rule that reads `network/bits:port`; raises ValueError with a text for the operator."""
        match = _RULE.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not an allow rule; write network/bits:port, like 10.0.0.0/8:9000")
        port = None if match[4] == "*" else int(match[4])
        if port is not None and not 1 <= port <= 65535:
            raise ValueError(f"the port of the allow rule {text!r} is not between 1 and 65535")
        try:
            return cls(_network((match[1] or match[2]) + match[3]), port)
        except ValueError as error:
            raise ValueError(f"the network of the allow rule {text!r} is wrong: {error}") from None

    def opens(self, address: Address, port: int) -> bool:
        """Whether the rule opens that port of that address; a metadata address must be written out singly."""
        if address in _METADATA and self.network.num_addresses > 1:
            return False
        return address in self.network and self.port in (None, port)


def _network(text: str) -> Network:
    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise ValueError("write an IPv4-mapped network as its IPv4 network")
    return network


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


@dataclass(frozen=True)
class Policy:
    """What the operator allows beyond the public internet over https."""

    allow: tuple[AllowRule, ...] = ()
    allow_http: bool = False
    allow_names: tuple[str, ...] = ()
    is_own: Callable[[Address], bool] = field(default=is_own_address, repr=False, compare=False)

    def parse_endpoint(self, value: object) -> Endpoint:
        """Return the endpoint that a customer entered; raises EndpointInvalid."""
        return parse_endpoint(value, allow_http=self.allow_http, names=self.allow_names, opens=self._may_open)

    def _may_open(self, host: str, port: int) -> bool:
        """Whether a rule opens a port below 1024: of that address, or, if the host is a name, of any."""
        try:
            address = ip_address(host)
        except ValueError:
            return any(rule.port == port for rule in self.allow)
        return any(rule.opens(address, port) for rule in self.allow)

    def refusal(self, address: str, port: int, *, trusted: bool = False) -> str | None:
        """Return why the address must not be dialled, or None; `trusted`: for endpoints of the operator's."""
        try:
            parsed = ip_address(address)
        except ValueError:
            return "not an address"
        if isinstance(parsed, IPv6Address) and parsed.scope_id is not None:
            return "bound to an interface"
        reasons = (self._judge(form, port, trusted=trusted) for form in _forms(parsed))
        return next((reason for reason in reasons if reason is not None), None)

    def _judge(self, address: Address, port: int, *, trusted: bool) -> str | None:
        if any(rule.opens(address, port) for rule in self.allow):
            return None
        if address in _METADATA:
            return "metadata of a cloud"
        if trusted:
            return None
        if port < 1024 and port not in (80, 443):
            return "a port of another service"
        return _special(address) or ("this machine's own" if self.is_own(address) else None)


def _special(address: Address) -> str | None:
    if isinstance(address, IPv6Address) and address not in _GLOBAL_IPV6:
        return "not global"
    return next((what for network, what in _TABLE if address in network), None)


def _forms(address: Address) -> Iterator[Address]:
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
    """Yield the IPv4 address by each layout of RFC 6052, section 2.2, that fits: any may be in use."""
    without_byte_8 = value >> 64 << 56 | value & (1 << 56) - 1
    for length in (48, 56, 64):
        number, suffix = divmod(without_byte_8, 1 << 88 - length)
        if suffix == 0:
            yield IPv4Address(number & 0xFFFFFFFF)
    if value & 0xFFFFFF:
        yield IPv4Address(value & 0xFFFFFFFF)


class AddressRefused(OSError):
    """The policy forbids the address. Always the same text: aiohappyeyeballs merges equal ones."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(errno.EACCES, "the egress policy forbids connecting to this address")
        self.address = address
        self.reason = reason


def refused(exc: BaseException) -> bool:
    """Whether `exc` reports a refusal by the policy, be it wrapped by aiohttp or by others with `from`."""
    seen: list[BaseException] = []
    current: BaseException | None = exc
    while current is not None and current not in seen:
        if isinstance(current, AddressRefused):
            return True
        seen.append(current)
        current = getattr(current, "os_error", None) or current.__cause__
    return False


def _create_socket(addr_info: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = addr_info
    return socket.socket(family, kind, protocol)


class Guard:
    """A socket factory: sees every address just before it is dialled, and refuses what the policy forbids."""

    def __init__(
        self, policy: Policy, *, trusted: bool = False, create: aiohttp.SocketFactoryType = _create_socket
    ) -> None:
        self._policy = policy
        self._trusted = trusted
        self._create = create

    def __call__(self, addr_info: aiohttp.AddrInfoType) -> socket.socket:
        """Return a new, unconnected socket for the address; raises AddressRefused."""
        address, port, *rest = addr_info[4]
        scope = rest[1] if len(rest) > 1 else 0
        reason = "bound to an interface" if scope else self._policy.refusal(address, port, trusted=self._trusted)
        if reason is not None:
            raise AddressRefused(address, reason)
        return self._create(addr_info)


@functools.cache
def _tls_context(ca_file: str) -> ssl.SSLContext:
    # Not create_default_context: that one writes session keys to a file if the environment says so.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_default_certs()
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


def open_session(
    policy: Policy,
    *,
    trusted: bool = False,
    resolver: AbstractResolver | None = None,
    ca_file: str = "",
    trace_configs: Sequence[aiohttp.TraceConfig] = (),
    limit: int = 0,
    dns_ttl: int = 10,
    connect_timeout: float = 10.0,
    create_socket: aiohttp.SocketFactoryType = _create_socket,
) -> aiohttp.ClientSession:
    """Return the guarded session; the caller closes it, and makes each request with `allow_redirects=False`.

    `trusted` is for the operator's own endpoints: any address but a cloud's metadata. `limit` counts
    connections (0: no limit), `dns_ttl` and `connect_timeout` are in seconds; OSError for a bad `ca_file`.
    """
    connector = aiohttp.TCPConnector(
        socket_factory=Guard(policy, trusted=trusted, create=create_socket),
        resolver=resolver or aiohttp.ThreadedResolver(),
        ssl=_tls_context(ca_file),
        limit=limit,
        use_dns_cache=dns_ttl > 0,
        ttl_dns_cache=dns_ttl,
        keepalive_timeout=30,
    )
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"consignee/{__version__}", "Accept-Encoding": "identity"},
        auto_decompress=False,
        trust_env=False,
        trace_configs=list(trace_configs),
    )
