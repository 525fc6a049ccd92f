"""Signature version 4 of Alibaba Cloud OSS as its server checks it, written from the vendor's specification alone.

In the Authorization header: https://www.alibabacloud.com/help/en/oss/developer-reference/recommend-to-use-signature-version-4
In the URL: https://www.alibabacloud.com/help/en/oss/developer-reference/add-signatures-to-urls
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, unquote_to_bytes

from fakes.scripted import Request

ALGORITHM = "OSS4-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
SEVEN_DAYS = 604_800
_ALWAYS_SIGNED = ("content-type", "content-md5")
_STAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z")
# What a signature of the superseded versions 1 and 2 looks like in a query.
_OLD_PARAMETERS = ("OSSAccessKeyId", "Signature", "x-oss-access-key-id")


class Malformed(Exception):
    """The signature is incomplete, or a part of it isn't as specified; `argument` names the part."""

    def __init__(self, argument: str) -> None:
        super().__init__(argument)
        self.argument = argument


class Superseded(Exception):
    """The request is signed by version 1 or 2."""


@dataclass(frozen=True)
class Scope:
    """What a signing key is good for."""

    date: str
    region: str
    product: str = "oss"
    terminator: str = "aliyun_v4_request"

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.product}/{self.terminator}"


@dataclass(frozen=True)
class Claim:
    """Who says to have signed a request, when and how.

    `stamp` is the time as it was signed. `expires` is in seconds from then on, None for a signature in the header.
    """

    key_id: str
    scope: Scope
    signed_at: datetime
    stamp: str
    additional: tuple[str, ...]
    signature: str
    expires: int | None = None


def claim_in(request: Request) -> Claim | None:
    """Return the claim, or None for an anonymous request. Raises Malformed, Superseded."""
    authorization = request.headers.get("authorization", "")
    query = parameters_of(request)
    in_query = [name for name in query if name.startswith("x-oss-sign") or name in _OLD_PARAMETERS]
    if authorization and in_query:
        raise Malformed("Authorization")
    if authorization:
        return _in_header(authorization, request.headers)
    return _in_query(query) if in_query else None


def _in_header(authorization: str, headers: Mapping[str, str]) -> Claim:
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM:
        raise Superseded
    parts = dict(_pair(part) for part in rest.split(","))
    if headers.get("x-oss-content-sha256") != UNSIGNED_PAYLOAD:
        raise Malformed("x-oss-content-sha256")
    return _claim(
        credential=_required(parts, "Credential"),
        stamp=_required(headers, "x-oss-date"),
        additional=parts.get("AdditionalHeaders"),
        signature=_required(parts, "Signature"),
    )


def _pair(part: str) -> tuple[str, str]:
    name, equals, value = part.strip().partition("=")
    if not equals:
        raise Malformed("Authorization")
    return name, value


def _in_query(query: Mapping[str, str]) -> Claim:
    if query.get("x-oss-signature-version") != ALGORITHM:
        raise Superseded
    expires = _required(query, "x-oss-expires")
    if not (expires.isascii() and expires.isdecimal() and 1 <= int(expires) <= SEVEN_DAYS):
        raise Malformed("x-oss-expires")
    return _claim(
        credential=_required(query, "x-oss-credential"),
        stamp=_required(query, "x-oss-date"),
        additional=query.get("x-oss-additional-headers"),
        signature=_required(query, "x-oss-signature"),
        expires=int(expires),
    )


def _claim(*, credential: str, stamp: str, additional: str | None, signature: str, expires: int | None = None) -> Claim:
    key_id, _, scope = credential.partition("/")
    if len(parts := scope.split("/")) != 4 or parts[-1] != "aliyun_v4_request":
        raise Malformed("Credential")
    return Claim(key_id, Scope(*parts), _moment(stamp), stamp, _names(additional), signature, expires)


def _moment(stamp: str) -> datetime:
    try:
        if not _STAMP.fullmatch(stamp):
            raise Malformed("x-oss-date")
        return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise Malformed("x-oss-date") from error


def _names(additional: str | None) -> tuple[str, ...]:
    if additional is None:
        return ()
    names = tuple(additional.split(";"))
    if not (additional.isascii() and additional.islower() and all(names) and list(names) == sorted(set(names))):
        raise Malformed("AdditionalHeaders")
    return names


def _required(values: Mapping[str, str], name: str) -> str:
    if not (value := values.get(name)):
        raise Malformed(name)
    return value


def parameters_of(request: Request) -> dict[str, str]:
    """Return the query's values by their names. A plus sign is a plus sign."""
    return {name.decode(errors="replace"): value.decode(errors="replace") for name, value in _query(request)}


def _query(request: Request) -> list[tuple[bytes, bytes]]:
    _, _, query = request.path.partition("?")
    pairs = (part.partition("=") for part in query.split("&") if part)
    return [(unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in pairs]


def canonical_request(request: Request, resource: str, additional: Iterable[str] = ()) -> bytes:
    """Return what is hashed and signed; `resource` is `/bucket/key`, not encoded, whatever the request's path is."""
    signed = {*_ALWAYS_SIGNED, *additional}
    names = sorted(name for name in request.headers if name in signed or name.startswith("x-oss-"))
    headers = "".join(f"{name}:{request.headers[name].strip()}\n" for name in names)
    lines = [
        request.method,
        quote(resource, safe="/"),
        _canonical_query(request),
        headers,
        ";".join(sorted(additional)),
        request.headers.get("x-oss-content-sha256", UNSIGNED_PAYLOAD),
    ]
    return "\n".join(lines).encode("latin-1")


def _canonical_query(request: Request) -> str:
    pairs = [(quote(name, safe=""), quote(value, safe="")) for name, value in _query(request)]
    return "&".join(f"{name}={value}" if value else name for name, value in sorted(pairs) if name != "x-oss-signature")


def string_to_sign(stamp: str, scope: Scope, canonical: bytes) -> str:
    """Return what the signing key signs."""
    return "\n".join([ALGORITHM, stamp, str(scope), hashlib.sha256(canonical).hexdigest()])


def signature_of(text: str, *, secret: str, scope: Scope) -> str:
    """Return the signature of a string to sign, in hexadecimal digits."""
    key = f"aliyun_v4{secret}".encode()
    for part in (scope.date, scope.region, scope.product, scope.terminator):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()
