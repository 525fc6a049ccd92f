"""Strict reading of a storage endpoint that a customer enters: refuse, never repair."""

import ipaddress
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, NoReturn

MAX_LENGTH: Final = 512
_DEFAULT_PORT: Final = {"https": 443, "http": 80}
_FORM: Final = re.compile(r"([a-z][a-z0-9+.-]*)://(.+)", re.ASCII)
_AUTHORITY: Final = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]+))?", re.ASCII)
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
# Answered by a machine, an office network or a cluster, never by public DNS. `internal` holds the metadata of
# Google, `svc` and `local` the services of Kubernetes, `arpa` the reverse zones.
_PRIVATE_NAME: Final = re.compile(
    r"[^.]+|(.+\.)?(localhost|localdomain|local|internal|svc|arpa|lan|home|corp|intranet|private|docker|consul)"
)
# No setting opens these: what they give away is the operator's own cloud account.
_METADATA_NAME: Final = re.compile(
    r"(.+\.)?(metadata(\.goog|\.google\.internal|\.azure\.internal|\.tencentyun\.com)?"
    r"|instance-data(\.ec2\.internal)?)"
)


class EndpointInvalid(ValueError):
    """The endpoint can't be accepted; `code` is for programs, the text says to the customer what to write."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class Endpoint:
    """Where a storage service answers; `host` is in lower case, an IPv6 address without its brackets."""

    scheme: str
    host: str
    port: int

    @property
    def url(self) -> str:
        """The endpoint as a URL without a path; the scheme's default port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _DEFAULT_PORT[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    @property
    def is_address(self) -> bool:
        """Whether the host is an IP address, not a name."""
        return ":" in self.host or _is_dotted_quad(self.host)


Opens = Callable[[str, int], bool]


def _nothing(host: str, port: int) -> bool:
    return False


def parse_endpoint(
    value: object, *, allow_http: bool = False, names: Collection[str] = (), opens: Opens = _nothing
) -> Endpoint:
    """Return the endpoint; raises EndpointInvalid.

    `names` lets private names through (each one, and what is under it), `opens` more ports of a host than 443 and those
    from 1024.
    """
    scheme, rest = _split(_checked_text(value))
    _check_form(rest)
    if scheme not in _DEFAULT_PORT:
        _fail("bad_scheme", "The endpoint must start with https://; no other scheme can be used.")
    if scheme == "http" and not allow_http:
        _fail(
            "bad_scheme",
            "The endpoint must start with https://; the operator of this service must allow http first.",
        )
    host, digits = _split_authority(rest)
    host = _checked_address(host) if host.startswith("[") else _checked_host(host, names)
    return Endpoint(scheme, host, _checked_port(digits, scheme, host, opens))


def _fail(code: str, text: str) -> NoReturn:
    raise EndpointInvalid(code, text)


def _checked_text(value: object) -> str:
    if not isinstance(value, str):
        _fail("not_a_string", "The endpoint must be a string like https://s3.example.com.")
    if not 1 <= len(value) <= MAX_LENGTH:
        _fail(
            "bad_length",
            f"The endpoint must have 1 to {MAX_LENGTH} characters; write it like https://s3.example.com.",
        )
    if any(not "!" <= character <= "~" or character in "\\%" for character in value):
        _fail(
            "bad_character",
            "The endpoint may hold only ASCII letters, digits and - _ . : / [ ], and no spaces; write a "
            "name in another script in its xn-- form.",
        )
    return value.lower()


def _split(text: str) -> tuple[str, str]:
    match = _FORM.fullmatch(text)
    if match is None:
        _fail(
            "bad_form",
            "The endpoint must be a scheme, a host and perhaps a port, like https://s3.example.com:9000.",
        )
    return match[1], match[2]


def _check_form(rest: str) -> None:
    if rest.endswith("/") and not set("/?#") & set(rest[:-1]) and len(rest) > 1:
        _fail(
            "bad_form",
            "The endpoint must not end with a slash; write it without, like https://s3.example.com.",
        )
    if set("/?#") & set(rest):
        _fail("bad_form", "The endpoint must end after the host and the port, with no path and no query.")
    if "@" in rest:
        _fail(
            "userinfo",
            "The endpoint must not hold a user name, a password or an @; enter keys in their own fields.",
        )


def _split_authority(rest: str) -> tuple[str, str | None]:
    match = _AUTHORITY.fullmatch(rest)
    if match is None and rest.count(":") > 1 and "[" not in rest:
        _fail("bad_host", "An IPv6 address in an endpoint must be in brackets, like https://[2001:db8::1]:9000.")
    if match is None or not match[1]:
        _fail(
            "bad_host",
            "The endpoint must hold one host, and a port of digits only, like https://s3.example.com:9000.",
        )
    return match[1], match[2]


def _checked_address(bracketed: str) -> str:
    address = bracketed[1:-1]
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        _fail("bad_host", "What stands in brackets must be an IPv6 address, like https://[2001:db8::1]:9000.")
    return address


def _is_dotted_quad(host: str) -> bool:
    try:
        return str(ipaddress.IPv4Address(host)) == host
    except ValueError:
        return False


def _checked_host(host: str, names: Collection[str]) -> str:
    if _is_dotted_quad(host):
        return host
    labels = host.split(".")
    # Resolvers read 127.1, 0x7f000001 and 017700000001 as addresses, each in its own way.
    if _NUMBER.fullmatch(labels[-1]):
        _fail(
            "bad_host",
            "An IPv4 address must be four numbers from 0 to 255 without leading zeros, like 198.51.100.7.",
        )
    if host.endswith("."):
        _fail("bad_host", "The host must not end with a dot; write it without, like s3.example.com.")
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        _fail(
            "bad_host",
            "The host must be names of letters, digits, hyphens and underscores with dots between them, each "
            "of 1 to 63 characters and 253 in all, like s3.example.com.",
        )
    if is_private_name(host, names):
        _fail(
            "blocked_name",
            "The host is a name of a private network; write one that is public, like s3.example.com.",
        )
    return host


def is_private_name(host: str, names: Collection[str] = ()) -> bool:
    """Whether a host name in lower case has no place in public DNS, and is not under one of `names`."""
    if _METADATA_NAME.fullmatch(host):
        return True
    if any(f".{host}".endswith(f".{name.lower()}") for name in names if name):
        return False
    return _PRIVATE_NAME.fullmatch(host) is not None


def _checked_port(digits: str | None, scheme: str, host: str, opens: Opens) -> int:
    if digits is None:
        return _DEFAULT_PORT[scheme]
    if digits.startswith("0") or len(digits) > 5 or int(digits) > 65535:
        _fail(
            "bad_port",
            "The port must be a number from 1 to 65535 without leading zeros; 443 can be left out.",
        )
    port = int(digits)
    if not (port == 443 or port >= 1024 or (port == 80 and scheme == "http") or opens(host, port)):
        _fail("bad_port", "The port must be 443, or 1024 or more.")
    return port
