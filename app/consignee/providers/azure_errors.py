"""What Azure answers when something is wrong, and what it means.

https://learn.microsoft.com/rest/api/storageservices/status-and-error-codes2
"""

from collections.abc import Mapping
from typing import Final

from consignee import errors
from consignee.providers.refusals import ACCOUNT, BUSY, DENIED, FAULT, LATE, NO_BUCKET, SKEW, Dialect, Meaning, element
from consignee.transport import Answer


def _code(answer: Answer) -> str:
    return answer.headers.get("x-ms-error-code") or element(answer, "Code")


_REJECTED: Final = Meaning(
    errors.CredentialsRejected,
    "The storage refused the account key.",
    "Check the account name and its key: copy key1 or key2 again, whole; a key that was rotated no longer works.",
)
_FIREWALL: Final = Meaning(
    errors.AccessDenied,
    "The storage account refused access.",
    "Look at the storage account's network rules, and whether it allows access by account key (shared key).",
)

BY_CODE: Final[Mapping[str, Meaning]] = {
    "AuthenticationFailed": _REJECTED,
    "InvalidAuthenticationInfo": _REJECTED,
    "NoAuthenticationInformation": _REJECTED,
    "AuthorizationFailure": _FIREWALL,
    "AccountIsDisabled": ACCOUNT,
    "AuthorizationPermissionMismatch": DENIED,
    "AuthorizationResourceTypeMismatch": DENIED,
    "AuthorizationServiceMismatch": DENIED,
    "AuthorizationProtocolMismatch": DENIED,
    "AuthorizationSourceIPMismatch": _FIREWALL,
    "InsufficientAccountPermissions": DENIED,
    "KeyBasedAuthenticationNotPermitted": _FIREWALL,
    "PublicAccessNotPermitted": DENIED,
    "BlobImmutableDueToPolicy": DENIED,
    "BlobImmutableDueToLegalHold": DENIED,
    "LeaseIdMissing": DENIED,
    "ContainerNotFound": NO_BUCKET,
    "ContainerBeingDeleted": NO_BUCKET,
    "ContainerDisabled": NO_BUCKET,
    "ResourceNotFound": NO_BUCKET,
    "InvalidResourceName": NO_BUCKET,
    "RequestTimeTooSkewed": SKEW,
    "ServerBusy": BUSY,
    "OperationTimedOut": LATE,
    "InternalError": FAULT,
    "Md5Mismatch": FAULT,
}
"""https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes and common-rest-api-error-codes"""


def _special(answer: Answer, meaning: Meaning) -> Meaning:
    code = _code(answer)
    if code == "AuthenticationFailed" and b"specified time frame" in answer.body:
        return SKEW
    # Azurite says of a wrong key what Azure says of its firewall.
    if code == "AuthorizationFailure" and answer.headers.get("Server", "").startswith("Azurite"):
        return _REJECTED
    return meaning


AZURE: Final = Dialect(
    by_code=BY_CODE,
    request_id_header="x-ms-request-id",
    code=_code,
    special=_special,
    absent=frozenset({"BlobNotFound"}),
)
