"""To which addresses we may connect: one policy, checked on the address that is being dialled."""

import errno
import functools
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver

from consignee import __version__
from consignee.addresses import METADATA, Address, Network, forms, is_own_address, special
from consignee.carriage import Context
from consignee.endpoint import Endpoint, EndpointInvalid, parse_endpoint
from consignee.names import Names
from consignee.phases import Telling
from consignee.prompt import PromptRequest
from consignee.receiving import CappedConnector

__all__ = [
    "AddressRefused",
    "AllowRule",
    "Endpoint",
    "EndpointInvalid",
    "Guard",
    "Policy",
    "caused",
    "create_socket",
    "is_own_address",
    "open_session",
    "refused",
]

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
        if address in METADATA and self.network.num_addresses > 1:
            return False
        return address in self.network and self.port in (None, port)


def _network(text: str) -> Network:
    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise ValueError("write an IPv4-mapped network as its IPv4 network")
    return network


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
        reasons = (self._judge(form, port, trusted=trusted) for form in forms(parsed))
        return next((reason for reason in reasons if reason is not None), None)

    def _judge(self, address: Address, port: int, *, trusted: bool) -> str | None:
        if any(rule.opens(address, port) for rule in self.allow):
            return None
        if address in METADATA:
            return "metadata of a cloud"
        if trusted:
            return None
        if port < 1024 and port not in (80, 443):
            return "a port of another service"
        return special(address) or ("this machine's own" if self.is_own(address) else None)


class AddressRefused(OSError):
    """The policy forbids the address. Always the same text: aiohappyeyeballs merges equal ones."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(errno.EACCES, "the egress policy forbids connecting to this address")
        self.address = address
        self.reason = reason


def refused(exc: BaseException) -> bool:
    """Whether `exc` reports a refusal by the policy, be it wrapped by aiohttp or by others with `from`."""
    return caused(exc, AddressRefused)


def caused(exc: BaseException, by: type[BaseException]) -> bool:
    """Whether `exc` is such an exception, or wraps one."""
    seen: list[BaseException] = []
    current: BaseException | None = exc
    while current is not None and current not in seen:
        if isinstance(current, by):
            return True
        seen.append(current)
        current = getattr(current, "os_error", None) or current.__cause__
    return False


def create_socket(addr_info: aiohttp.AddrInfoType) -> socket.socket:
    """Return a new socket for the address."""
    family, kind, protocol, _, _ = addr_info
    return socket.socket(family, kind, protocol)


class Guard:
    """A socket factory: sees every address just before it is dialled, and refuses what the policy forbids."""

    def __init__(
        self, policy: Policy, *, trusted: bool = False, create: aiohttp.SocketFactoryType = create_socket
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
    context = Context(ssl.PROTOCOL_TLS_CLIENT)
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
    limit: int = 0,
    dns_ttl: int = 10,
    connect_timeout: float = 10.0,
    create_socket: aiohttp.SocketFactoryType = create_socket,
    guard: aiohttp.SocketFactoryType | None = None,
    middlewares: Sequence[aiohttp.ClientMiddlewareType] = (),
    trace_configs: Sequence[aiohttp.TraceConfig] = (),
) -> aiohttp.ClientSession:
    """Return the guarded session; the caller closes it, and makes each request with `allow_redirects=False`.

    `trusted` is for the operator's own endpoints: any address but a cloud's metadata. `limit` counts
    connections (0: no limit), `dns_ttl` and `connect_timeout` are in seconds; OSError for a bad `ca_file`.
    `guard` takes the place of the one that the policy makes, `middlewares` see every request first, `trace_configs` hear of it.
    """
    connector = CappedConnector(
        socket_factory=guard or Guard(policy, trusted=trusted, create=create_socket),
        # What another guard lets through is the operator's proxy, whose name is no step of the customer's.
        resolver=resolver if guard and resolver else Telling(resolver or Names()),
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
        middlewares=middlewares,
        trace_configs=[*trace_configs],
        request_class=PromptRequest,
    )
