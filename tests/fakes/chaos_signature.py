"""AWS Signature Version 4 in the Authorization header as S3 checks it, written from the vendor's specification alone.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote_to_bytes

from fakes.chaos_answers import Refusal
from fakes.scripted import Request

UNSIGNED = "UNSIGNED-PAYLOAD"
ALGORITHM = "AWS4-HMAC-SHA256"
MOST_SKEW = timedelta(minutes=15)
_UNRESERVED = "-_.~"
_STAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_AUTHORIZATION = re.compile(
    rf"{ALGORITHM} Credential=([^/,]+)/([0-9]{{8}})/([^/,]+)/s3/aws4_request, ?"
    r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})"
)


@dataclass(frozen=True)
class _Claim:
    """Who says to have signed, for which day and region, which headers, and the signature."""

    key_id: str
    day: str
    region: str
    headers: tuple[str, ...]
    signature: str


@dataclass(frozen=True)
class Verifier:
    """Checks requests against `keys`, access key ids and their secrets."""

    keys: Mapping[str, str] = field(repr=False)
    region: str = "us-east-1"
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _signing: dict[tuple[str, str], bytes] = field(default_factory=dict, repr=False)

    def check(self, request: Request) -> str:
        """Return what is signed of the body: its SHA-256 in hexadecimal digits, or UNSIGNED. Raises Refusal."""
        claim = _claim(request)
        payload = _payload(request)
        self._check_scope(claim, request)
        _check_coverage(claim, request)
        text = _string_to_sign(request, claim, payload)
        if not hmac.compare_digest(hmac.digest(self._key(claim), text.encode(), "sha256").hex(), claim.signature):
            raise Refusal(
                403, "SignatureDoesNotMatch", "The signature we calculated does not match the one you provided."
            )
        return payload

    def _check_scope(self, claim: _Claim, request: Request) -> None:
        stamp = request.headers.get("x-amz-date", "")
        if claim.key_id not in self.keys:
            raise Refusal(403, "InvalidAccessKeyId", "The access key id you provided does not exist in our records.")
        if claim.region != self.region:
            raise _malformed(f"the region '{claim.region}' is wrong; expecting '{self.region}'", Region=self.region)
        if not _STAMP.fullmatch(stamp) or stamp[:8] != claim.day:
            raise _malformed("the date of the credential is not that of x-amz-date")
        if abs(self.now() - datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)) > MOST_SKEW:
            raise Refusal(403, "RequestTimeTooSkewed", "The difference between the request time and ours is too large.")

    def _key(self, claim: _Claim) -> bytes:
        name = (claim.key_id, claim.day)
        if name not in self._signing:
            key = f"AWS4{self.keys[claim.key_id]}".encode()
            for part in (claim.day, claim.region, "s3", "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._signing[name] = key
        return self._signing[name]


def _claim(request: Request) -> _Claim:
    if not (authorization := request.headers.get("authorization")):
        raise Refusal(403, "AccessDenied", "Access Denied")
    if not (match := _AUTHORIZATION.fullmatch(authorization)):
        raise _malformed("it is not of the form that is specified")
    key_id, day, region, names, signature = match.groups()
    headers = tuple(names.split(";"))
    if list(headers) != sorted(set(headers)):
        raise _malformed("the signed headers are not in order")
    return _Claim(key_id, day, region, headers, signature)


def _payload(request: Request) -> str:
    payload = request.headers.get("x-amz-content-sha256", "")
    if payload.startswith("STREAMING-"):
        raise Refusal(501, "NotImplemented", "Bodies that are signed in chunks are not supported.")
    if payload != UNSIGNED and not _DIGEST.fullmatch(payload):
        raise Refusal(400, "InvalidArgument", "x-amz-content-sha256 must be UNSIGNED-PAYLOAD or a valid SHA-256.")
    return payload


def _check_coverage(claim: _Claim, request: Request) -> None:
    needed = {"host", *(name for name in request.headers if name.startswith("x-amz-"))}
    if not needed.issubset(claim.headers):
        raise Refusal(403, "AccessDenied", "There were headers present in the request which were not signed.")


def _string_to_sign(request: Request, claim: _Claim, payload: str) -> str:
    path, _, query = request.path.partition("?")
    headers = "".join(f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in claim.headers)
    canonical = "\n".join(
        [request.method, _quoted(path, "/"), _canonical_query(query), headers, ";".join(claim.headers), payload]
    )
    scope = f"{claim.day}/{claim.region}/s3/aws4_request"
    digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
    return "\n".join([ALGORITHM, request.headers["x-amz-date"], scope, digest])


def _canonical_query(query: str) -> str:
    pairs = (part.partition("=") for part in query.split("&") if part)
    return "&".join(sorted(f"{_quoted(name)}={_quoted(value)}" for name, _, value in pairs))


def _quoted(text: str, also: str = "") -> str:
    return quote(unquote_to_bytes(text), safe=_UNRESERVED + also)


def _malformed(why: str, **elements: str) -> Refusal:
    return Refusal(400, "AuthorizationHeaderMalformed", f"The authorization header is malformed; {why}.", elements)
