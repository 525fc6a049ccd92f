"""What S3 and its look-alikes answer when something is wrong, and what it means.

https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from multidict import CIMultiDict

from consignee import errors
from consignee.errors import ProviderFailure
from consignee.transport import Answer

_PROVIDER_CODE = re.compile(r"[A-Za-z0-9_]{1,64}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:/+=-]{1,128}")
_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


@dataclass(frozen=True)
class Meaning:
    """What an answer means: the failure, a sentence for the customer, and a hint where the failure's own is too general."""

    failure: type[ProviderFailure]
    message: str
    hint: str | None = None


_UNKNOWN_KEY = Meaning(errors.CredentialsRejected, "The storage does not know this access key.")
_WRONG_SECRET = Meaning(errors.CredentialsRejected, "The secret does not belong to this access key.")
_TEMPORARY = Meaning(
    errors.CredentialsRejected,
    "The storage refused the access key as temporary or expired.",
    "Use a permanent access key: temporary credentials with a session token can't be used here.",
)
_DENIED = Meaning(errors.AccessDenied, "The storage refused access.")
_ACCOUNT = Meaning(
    errors.AccessDenied,
    "The storage account is suspended, or not subscribed to the service.",
    "Look at the account's state and billing in the provider's console.",
)
_NO_BUCKET = Meaning(errors.BucketNotFound, "There is no such bucket.")
_REGION_WRONG = Meaning(errors.WrongRegion, "The bucket is in another region.")
_SKEW = Meaning(errors.ClockSkew, "The storage refused the request because of its time.")
_BUSY = Meaning(errors.Throttled, "The storage asked us to slow down.")
_FULL = Meaning(
    errors.ProviderError,
    "The storage is full, or its quota is used up.",
    "Free some space or raise the quota of the bucket or the account.",
)
_FAULT = Meaning(errors.ProviderError, "The storage reported an error.")
_ENCRYPTION = Meaning(
    errors.AccessDenied,
    "The key that encrypts the bucket can't be used.",
    "Give this access key the right to use the bucket's encryption key (kms:GenerateDataKey), and enable that key.",
)
_PREMISES = Meaning(errors.NotAStorageService, "The endpoint does not take uploads.")

BY_CODE: Final[Mapping[str, Meaning]] = {
    "InvalidAccessKeyId": _UNKNOWN_KEY,
    "SignatureDoesNotMatch": _WRONG_SECRET,
    "AuthFailure": _WRONG_SECRET,
    "Unauthorized": _UNKNOWN_KEY,
    "InvalidSecurity": _UNKNOWN_KEY,
    "ExpiredToken": _TEMPORARY,
    "InvalidToken": _TEMPORARY,
    "TokenRefreshRequired": _TEMPORARY,
    "AccessDenied": _DENIED,
    "AccessForbidden": _DENIED,
    "InvalidObjectState": _DENIED,
    "AllAccessDisabled": _ACCOUNT,
    "AccountProblem": _ACCOUNT,
    "NotSignedUp": _ACCOUNT,
    "UserSuspended": _ACCOUNT,
    "NoSuchBucket": _NO_BUCKET,
    "InvalidBucketName": _NO_BUCKET,
    "NoSuchTenant": _NO_BUCKET,
    "AuthorizationHeaderMalformed": _REGION_WRONG,
    "IllegalLocationConstraintException": _REGION_WRONG,
    "IncorrectEndpoint": _REGION_WRONG,
    "PermanentRedirect": _REGION_WRONG,
    "Redirect": _REGION_WRONG,
    "TemporaryRedirect": _REGION_WRONG,
    "RequestTimeTooSkewed": _SKEW,
    "RequestExpired": _SKEW,
    "Busy": _BUSY,
    "OperationAborted": _BUSY,
    "RequestLimitExceeded": _BUSY,
    "SlowDown": _BUSY,
    "Throttling": _BUSY,
    "ThrottlingException": _BUSY,
    "TooManyRequests": _BUSY,
    "QuotaExceeded": _FULL,
    "InsufficientStorage": _FULL,
    "XMinioStorageFull": _FULL,
    "BadDigest": _FAULT,
    "InternalError": _FAULT,
    "RequestTimeout": Meaning(errors.TimedOut, "The storage did not receive the file in time."),
    "ServiceUnavailable": _BUSY,
    "KMSAccessDeniedException": _ENCRYPTION,
    "KMSDisabledException": _ENCRYPTION,
    "KMSKMSInvalidStateException": _ENCRYPTION,
    "KMSNotFoundException": _ENCRYPTION,
    "MethodNotAllowed": _PREMISES,
}
"""By the vendor's code; the dots in `KMS.…` codes are left out."""

BY_STATUS: Final[Mapping[int, Meaning]] = {
    401: Meaning(errors.CredentialsRejected, "The storage refused the access key or its secret."),
    403: _DENIED,
    405: _PREMISES,
    408: Meaning(errors.TimedOut, "The storage did not receive the file in time."),
    429: _BUSY,
    507: _FULL,
}
"""For answers without a code that we know."""


def without(answer: Answer, key_id: str) -> Answer:
    """Return the answer without the key id, which an endpoint may send back where its code, id or region belongs."""
    headers = CIMultiDict((name, value.replace(key_id, "*")) for name, value in answer.headers.items())
    return replace(answer, headers=headers, body=answer.body.replace(key_id.encode(), b"*"))


def element(answer: Answer, name: str) -> str:
    """Return the text of an element of an error document; empty if there is none. Never for the customer as it is."""
    found = re.search(rf"<{name}>([^<]{{1,256}})</{name}>".encode(), answer.body)
    return found[1].decode(errors="replace").strip() if found else ""


def provider_code(answer: Answer) -> str | None:
    """Return the vendor's error code if it is well formed."""
    code = element(answer, "Code").replace(".", "")
    return code if _PROVIDER_CODE.fullmatch(code) else None


def request_id(answer: Answer) -> str | None:
    """Return the vendor's id of the request if it is well formed."""
    found = answer.headers.get("x-amz-request-id") or element(answer, "RequestId")
    return found if _REQUEST_ID.fullmatch(found) else None


def named_region(answer: Answer) -> str | None:
    """Return the region that a refusal names as the right one."""
    found = answer.headers.get("x-amz-bucket-region") or element(answer, "Region")
    return found if _REGION.fullmatch(found) else None


def failure(answer: Answer, *, now: datetime) -> ProviderFailure:
    """Return what a refusal means; `now` is our time, against which a skew is measured."""
    meaning = _meaning(answer)
    hint = meaning.hint
    if meaning.failure is errors.WrongRegion and (region := named_region(answer)):
        hint = f"The storage names {region} as the region of this bucket: use that."
    if meaning.failure is errors.ClockSkew:
        hint = _skew_hint(answer, now)
    return meaning.failure(
        meaning.message,
        hint=hint,
        provider_code=provider_code(answer),
        provider_request_id=request_id(answer),
        retry_after=retry_after(answer),
    )


def _meaning(answer: Answer) -> Meaning:
    code = provider_code(answer)
    if code is not None and code in BY_CODE:
        return BY_CODE[code]
    if 300 <= answer.status < 400:
        return Meaning(errors.RedirectRefused, "The endpoint redirects elsewhere; redirects are not followed.")
    if answer.status in (429, 503) and "Retry-After" in answer.headers:
        return _BUSY
    if code is None and request_id(answer) is None and answer.status in (400, 404, 405, 411, 501):
        return Meaning(errors.NotAStorageService, "The endpoint does not answer like a storage service.")
    return BY_STATUS.get(answer.status, _FAULT)


def retry_after(answer: Answer) -> float | None:
    """Return the seconds after which to come back, if the storage says so in seconds."""
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _skew_hint(answer: Answer, now: datetime) -> str | None:
    theirs = _time(element(answer, "ServerTime")) or _time(answer.headers.get("Date", ""), parsedate_to_datetime)
    if theirs is None:
        return None
    seconds = round((now - theirs).total_seconds())
    direction = "ahead of" if seconds > 0 else "behind"
    return (
        f"The clock of this service is {abs(seconds)} seconds {direction} the storage's: its operator must correct it."
    )


def _time(text: str, read: Callable[[str], datetime] = datetime.fromisoformat) -> datetime | None:
    try:
        time = read(text)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # the latter for what lies before the year 1 or after 9999 in UTC
        return None
