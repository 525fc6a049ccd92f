"""Who may do what at the fake OSS, and where a request goes. Every check raises Refusal with the vendor's error."""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from ipaddress import ip_address
from urllib.parse import unquote_to_bytes

from fakes import oss_answers as answers
from fakes.oss_answers import Refusal
from fakes.oss_signature import (
    Claim,
    Malformed,
    Superseded,
    canonical_request,
    claim_in,
    parameters_of,
    signature_of,
    string_to_sign,
)
from fakes.scripted import Request

ALLOWED_SKEW = timedelta(minutes=15)
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_ENDPOINT_LABEL = re.compile(r"oss-(?P<region>[a-z0-9-]+)")


@dataclass(frozen=True)
class User:
    """Who may do what. `disabled` is an account that is locked or in arrears, `inactive` a key that was switched off."""

    secret: str
    may_put: bool = True
    may_delete: bool = True
    may_abort: bool = True
    may_get: bool = True
    disabled: bool = False
    inactive: bool = False


class Operation(Enum):
    """What the fake can do."""

    PUT, DELETE, BEGIN, ADD, COMPLETE, ABORT, GET = range(7)


_OPERATIONS = {
    ("GET", frozenset[str]()): Operation.GET,
    ("PUT", frozenset[str]()): Operation.PUT,
    ("DELETE", frozenset[str]()): Operation.DELETE,
    ("POST", frozenset({"uploads"})): Operation.BEGIN,
    ("PUT", frozenset({"partNumber", "uploadId"})): Operation.ADD,
    ("POST", frozenset({"uploadId"})): Operation.COMPLETE,
    ("DELETE", frozenset({"uploadId"})): Operation.ABORT,
}


@dataclass(frozen=True)
class Place:
    """Where a request goes: an object in a bucket, asked for at the endpoint of a region."""

    bucket: str
    key: str
    region: str

    @property
    def resource(self) -> str:
        """What the signature covers."""
        return f"/{self.bucket}/{self.key}"


def place_in(request: Request, *, path_style: bool, region: str) -> Place:
    """Return where the request goes; `region` is the endpoint's if the host does not tell."""
    host = request.headers.get("host", "").partition(":")[0]
    try:
        name = unquote_to_bytes(request.path.partition("?")[0]).removeprefix(b"/").decode()
    except UnicodeDecodeError as error:
        raise Refusal(answers.INVALID_OBJECT_NAME) from error
    first, _, rest = name.partition("/")
    bucket, key = (first, rest) if path_style else (_bucket_in(host), name)
    if not _BUCKET_NAME.fullmatch(bucket):
        raise Refusal(answers.INVALID_BUCKET_NAME, {"BucketName": bucket})
    if not 1 <= len(key.encode()) <= 1023 or key.startswith(("/", "\\")):
        raise Refusal(answers.INVALID_OBJECT_NAME, {"ObjectName": key})
    return Place(bucket, key, _region_in(host if path_style else host.partition(".")[2]) or region)


def _bucket_in(host: str) -> str:
    bucket, _, rest = host.partition(".")
    if not rest or _is_address(host) or _ENDPOINT_LABEL.fullmatch(bucket):
        raise Refusal(answers.SECOND_LEVEL_DOMAIN)
    return bucket


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _region_in(endpoint: str) -> str:
    match = _ENDPOINT_LABEL.fullmatch(endpoint.partition(".")[0])
    return match["region"] if match else ""


def signer_of(request: Request, place: Place, *, users: Mapping[str, User], now: datetime) -> User:
    """Return who signed the request; refuses a signature that isn't valid for exactly this, here and now."""
    claim = _claim(request)
    _check_scope(claim, place)
    if claim.key_id not in users:
        raise Refusal(answers.INVALID_ACCESS_KEY_ID, {"OSSAccessKeyId": claim.key_id})
    user = users[claim.key_id]
    if user.inactive:
        raise Refusal(answers.INACTIVE_ACCESS_KEY_ID, {"OSSAccessKeyId": claim.key_id})
    if claim.expires is None:
        _check_age(claim.signed_at, now)
    else:
        _check_period(claim.signed_at, timedelta(seconds=claim.expires), now)
    _check_signature(request, place, claim, user)
    return user


def _claim(request: Request) -> Claim:
    try:
        claim = claim_in(request)
    except Malformed as error:
        raise Refusal(answers.INVALID_ARGUMENT, {"ArgumentName": error.argument}) from error
    except Superseded as error:
        raise Refusal(answers.OLD_SIGNATURE) from error
    if claim is None:
        raise Refusal(answers.ANONYMOUS)
    return claim


def _check_scope(claim: Claim, place: Place) -> None:
    if claim.scope.product != "oss":
        raise Refusal(answers.INVALID_PRODUCT)
    if claim.scope.region != place.region:
        raise Refusal(answers.INVALID_REGION)
    if claim.scope.date != claim.stamp[:8]:
        raise Refusal(answers.INVALID_DATE)


def _check_age(signed_at: datetime, now: datetime) -> None:
    if abs(now - signed_at) > ALLOWED_SKEW:
        details = {
            "MaxAllowedSkewMilliseconds": str(ALLOWED_SKEW // timedelta(milliseconds=1)),
            "RequestTime": answers.moment(signed_at),
            "ServerTime": answers.moment(now),
        }
        raise Refusal(answers.REQUEST_TIME_TOO_SKEWED, details)


def _check_period(start: datetime, length: timedelta, now: datetime) -> None:
    details = {"Expires": answers.moment(start + length), "ServerTime": answers.moment(now)}
    if now < start - ALLOWED_SKEW:
        raise Refusal(answers.NOT_YET_VALID, details)
    if now > start + length:
        raise Refusal(answers.EXPIRED, details)


def _check_signature(request: Request, place: Place, claim: Claim, user: User) -> None:
    canonical = canonical_request(request, place.resource, claim.additional)
    text = string_to_sign(claim.stamp, claim.scope, canonical)
    signature = signature_of(text, secret=user.secret, scope=claim.scope)
    if not hmac.compare_digest(signature.encode(), claim.signature.encode()):
        details = {
            "OSSAccessKeyId": claim.key_id,
            "SignatureProvided": claim.signature,
            "StringToSign": text,
            "StringToSignBytes": text.encode().hex(" ").upper(),
            "CanonicalRequest": canonical.decode("latin-1"),
            "CanonicalRequestBytes": canonical.hex(" ").upper(),
        }
        raise Refusal(answers.SIGNATURE_DOES_NOT_MATCH, details)


def check_account(request: Request, place: Place, user: User) -> None:
    """Refuse temporary credentials, which nobody has here, and a disabled account."""
    if "x-oss-security-token" in (request.headers.keys() | parameters_of(request).keys()):
        raise Refusal(answers.INVALID_SECURITY_TOKEN)
    if user.disabled:
        raise Refusal(answers.USER_DISABLE, {"BucketName": place.bucket})


def operation_of(request: Request) -> Operation:
    """Return what the request asks for; refuses what the fake doesn't have."""
    if request.method not in ("GET", "PUT", "POST", "DELETE"):
        raise Refusal(answers.METHOD_NOT_ALLOWED, {"Method": request.method})
    names = frozenset(name for name in parameters_of(request) if not name.startswith("x-oss-"))
    if (request.method, names) not in _OPERATIONS:
        raise Refusal(answers.NOT_IMPLEMENTED)
    return _OPERATIONS[request.method, names]


def check_right(operation: Operation, user: User) -> None:
    """Refuse what the user has no right to: all parts of an upload are of the right to put, but to abort it is one of its own."""
    rights = {
        Operation.GET: user.may_get,
        Operation.DELETE: user.may_delete,
        Operation.ABORT: user.may_abort,
    }
    if not rights.get(operation, user.may_put):
        raise Refusal(answers.ACCESS_DENIED)


def check_digest(request: Request, md5: bytes) -> None:
    """Refuse a body that isn't the one of its Content-MD5."""
    if (given := request.headers.get("content-md5")) is None:
        return
    try:
        digest = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if digest != md5:
        raise Refusal(answers.INVALID_DIGEST, {"Content-MD5": given})
