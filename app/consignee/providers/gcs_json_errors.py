"""What Google's JSON API and its endpoint for tokens mean by their refusals."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from consignee import errors
from consignee.errors import ProviderFailure
from consignee.providers.gcs_account import json_object
from consignee.providers.refusals import BUSY, DENIED, FAULT, NO_BUCKET, SKEW, Dialect, Meaning
from consignee.transport import Answer


class Refused(Exception):
    """Any answer but success: the library takes a redirect for one."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def failure(answer: Answer) -> ProviderFailure:
    """Return what a refusal means."""
    return JSON.failure(answer, now=datetime.now(UTC))


def _code(answer: Answer) -> str:
    """The reason of a storage error, or the error of a token request."""
    try:
        error = json_object(answer.body)["error"]
        code = error if isinstance(error, str) else error["errors"][0]["reason"]
    except (ValueError, TypeError, LookupError):
        return ""
    return code if isinstance(code, str) else ""


def _special(answer: Answer, meaning: Meaning) -> Meaning:
    code = _code(answer)
    if code == "invalid_grant" and b"reasonable timeframe" in answer.body:
        return SKEW
    # A bucket of which the requester pays says so with the word that else means a missing token.
    return BILLING if code == "required" and answer.status == 400 else meaning


_REJECTED: Final = Meaning(
    errors.CredentialsRejected,
    "Google does not accept the service account's key.",
    "Check that the service account exists and is enabled, and that this key of it was not deleted; else make a new key.",
)
BILLING: Final = Meaning(
    errors.AccessDenied,
    "The project of the bucket is disabled, or has no billing.",
    "Look at the state and the billing of the project in the Google Cloud console.",
)

BY_CODE: Final[Mapping[str, Meaning]] = {
    "invalid_grant": _REJECTED,
    "invalid_client": _REJECTED,
    "disabled_client": _REJECTED,
    "deleted_client": _REJECTED,
    "unauthorized_client": _REJECTED,
    "invalid_scope": _REJECTED,
    "access_denied": _REJECTED,
    "authError": _REJECTED,
    "required": _REJECTED,
    "forbidden": DENIED,
    "insufficientPermissions": DENIED,
    "retentionPolicyNotMet": DENIED,
    "accountDisabled": BILLING,
    "userProjectAccountProblem": BILLING,
    "userProjectInvalid": BILLING,
    "userProjectMissing": BILLING,
    "notFound": NO_BUCKET,
    "invalid": NO_BUCKET,
    "rateLimitExceeded": BUSY,
    "userRateLimitExceeded": BUSY,
    "backendError": FAULT,
    "internalError": FAULT,
}
"""https://cloud.google.com/storage/docs/json_api/v1/status-codes, and for tokens https://developers.google.com/identity/protocols/oauth2/service-account"""

JSON: Final = Dialect(by_code=BY_CODE, request_id_header="x-guploader-uploadid", code=_code, special=_special)
