"""From a storage's refusal to our own error: what is the same for every vendor. The tables are beside their providers.

What a vendor wrote never leaves here; its error code and its request id do, if they are well formed.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from multidict import CIMultiDict

from consignee import errors
from consignee.clock import seconds_until
from consignee.errors import ProviderFailure
from consignee.transport import Answer

_PROVIDER_CODE = re.compile(r"[A-Za-z0-9_]{1,64}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:/+=-]{1,128}")
_WORD = re.compile(r"[A-Za-z0-9_.:/+=-]{16,}")
_REPEATED: Final = 16
"""As many characters of a proof in a row are too many to be chance."""


@dataclass(frozen=True)
class Meaning:
    """What an answer means: the failure, a sentence for the customer, and a hint where the failure's own is too general."""

    failure: type[ProviderFailure]
    message: str
    hint: str | None = None


UNKNOWN_KEY: Final = Meaning(errors.CredentialsRejected, "The storage does not know this access key.")
WRONG_SECRET: Final = Meaning(errors.CredentialsRejected, "The secret does not belong to this access key.")
TEMPORARY: Final = Meaning(
    errors.CredentialsRejected,
    "The storage refused the access key as temporary or expired.",
    "Use a permanent access key: temporary credentials with a session token can't be used here.",
)
DENIED: Final = Meaning(errors.AccessDenied, "The storage refused access.")
ACCOUNT: Final = Meaning(
    errors.AccessDenied,
    "The storage account is suspended, or not subscribed to the service.",
    "Look at the account's state and billing in the provider's console.",
)
NO_BUCKET: Final = Meaning(errors.BucketNotFound, "There is no such bucket.")
REGION_WRONG: Final = Meaning(errors.WrongRegion, "The bucket is in another region.")
SKEW: Final = Meaning(errors.ClockSkew, "The storage refused the request because of its time.")
BUSY: Final = Meaning(errors.Throttled, "The storage asked us to slow down.")
FULL: Final = Meaning(
    errors.ProviderError,
    "The storage is full, or its quota is used up.",
    "Free some space or raise the quota of the bucket or the account.",
)
FAULT: Final = Meaning(errors.ProviderError, "The storage reported an error.")
LATE: Final = Meaning(errors.TimedOut, "The storage did not receive the file in time.")
NO_UPLOADS: Final = Meaning(errors.NotAStorageService, "The endpoint does not take uploads.")
_REDIRECT: Final = Meaning(errors.RedirectRefused, "The endpoint redirects elsewhere; redirects are not followed.")
_STRANGER: Final = Meaning(errors.NotAStorageService, "The endpoint does not answer like a storage service.")

BY_STATUS: Final[Mapping[int, Meaning]] = {
    401: Meaning(errors.CredentialsRejected, "The storage refused the access key or its secret."),
    403: DENIED,
    405: NO_UPLOADS,
    408: LATE,
    429: BUSY,
    507: FULL,
}
"""For answers without a code that we know."""


def element(answer: Answer, name: str) -> str:
    """Return the text of an element of an XML error document; empty if there is none. Never for the customer as it is."""
    found = re.search(rf"<{name}>([^<]{{1,256}})</{name}>".encode(), answer.body)
    return found[1].decode(errors="replace").strip() if found else ""


def _xml_code(answer: Answer) -> str:
    return element(answer, "Code")


def _special_case(answer: Answer, meaning: Meaning) -> Meaning:
    return meaning


@dataclass(frozen=True)
class Dialect:
    """How one vendor refuses: its codes, where its code and request id stand, and what needs more than a table."""

    by_code: Mapping[str, Meaning]
    request_id_header: str
    code: Callable[[Answer], str] = _xml_code
    region: Callable[[Answer], str | None] = field(default=lambda _: None)
    special: Callable[[Answer, Meaning], Meaning] = _special_case
    absent: frozenset[str] = frozenset({"NoSuchKey"})

    def provider_code(self, answer: Answer) -> str | None:
        """Return the vendor's error code if it is well formed."""
        code = self.code(answer).replace(".", "")
        return code if _PROVIDER_CODE.fullmatch(code) else None

    def request_id(self, answer: Answer) -> str | None:
        """Return the vendor's id of the request if it is well formed."""
        found = self._named_id(answer)
        return found if _REQUEST_ID.fullmatch(found) else None

    def _named_id(self, answer: Answer) -> str:
        return answer.headers.get(self.request_id_header) or element(answer, "RequestId")

    def is_absent(self, answer: Answer) -> bool:
        """Whether a delete found nothing to delete."""
        return answer.status == 404 and self.provider_code(answer) in self.absent

    def failure(self, answer: Answer, *, now: datetime) -> ProviderFailure:
        """Return what a refusal means; `now` is our time, against which a skew is measured."""
        meaning = self.special(answer, self._meaning(answer))
        hint = meaning.hint
        if meaning.failure is errors.WrongRegion and (region := self.region(answer)):
            hint = f"The storage names {region} as the region of this bucket: use that."
        if meaning.failure is errors.ClockSkew:
            hint = _skew_hint(answer, now)
        return meaning.failure(
            meaning.message,
            hint=hint,
            provider_code=self.provider_code(answer),
            provider_request_id=self.request_id(answer),
            retry_after=_retry_after(answer, now),
        )

    def _meaning(self, answer: Answer) -> Meaning:
        code = self.provider_code(answer)
        if code is not None and code in self.by_code:
            return self.by_code[code]
        if 300 <= answer.status < 400:
            return _REDIRECT
        if answer.status in (429, 503) and "Retry-After" in answer.headers:
            return BUSY
        if code is None and not self._named_id(answer) and _is_strange(answer):
            return _STRANGER
        return BY_STATUS.get(answer.status, FAULT)


def _is_strange(answer: Answer) -> bool:
    """Whether an answer without any sign of a vendor is one that a web server gives."""
    page = answer.headers.get("Content-Type", "").startswith("text/html")
    return answer.status in (400, 404, 405, 411, 501) or (answer.status == 403 and page)


def without(answer: Answer, key_id: str) -> Answer:
    """Return the answer without the key id, which an endpoint may send back where its code, id or region belongs."""
    headers = CIMultiDict((name, value.replace(key_id, "*")) for name, value in answer.headers.items())
    return replace(answer, headers=headers, body=answer.body.replace(key_id.encode(), b"*"))


def unrepeated(answer: Answer, proofs: Iterable[str]) -> Answer:
    """Return the answer without words that repeat, in whole or in part, by what its request proved its right.

    That is a signature, a token or the address of an upload session, whose secret Google may give as the request's id.
    """
    pieces = {proof[at : at + _REPEATED] for proof in proofs for at in range(len(proof) - _REPEATED + 1)}

    def kept(word: re.Match[str]) -> str:
        repeats = any(word[0][at : at + _REPEATED] in pieces for at in range(len(word[0]) - _REPEATED + 1))
        return "*" if repeats else word[0]

    headers = CIMultiDict((name, _WORD.sub(kept, value)) for name, value in answer.headers.items())
    body = _WORD.sub(kept, answer.body.decode("latin-1")).encode("latin-1")
    return replace(answer, headers=headers, body=body)


def _retry_after(answer: Answer, now: datetime) -> float | None:
    """Return the seconds after which to come back, if the storage says so; a date is measured by its own clock."""
    theirs = _time(answer.headers.get("Date", ""), parsedate_to_datetime) or now
    return seconds_until(answer.headers.get("Retry-After", ""), now=theirs.timestamp())


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
