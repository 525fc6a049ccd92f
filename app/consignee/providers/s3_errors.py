"""What S3 and its look-alikes answer when something is wrong, and what it means.

https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

import re
from collections.abc import Mapping
from typing import Final

from consignee import errors
from consignee.providers.refusals import (
    ACCOUNT,
    BUSY,
    DENIED,
    FAULT,
    FULL,
    LATE,
    NO_BUCKET,
    NO_UPLOADS,
    REGION_WRONG,
    SKEW,
    TEMPORARY,
    UNKNOWN_KEY,
    WRONG_SECRET,
    Dialect,
    Meaning,
    element,
)
from consignee.transport import Answer

_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_ENCRYPTION: Final = Meaning(
    errors.AccessDenied,
    "The key that encrypts the bucket can't be used.",
    "Give this access key the right to use the bucket's encryption key (kms:GenerateDataKey), and enable that key.",
)

BY_CODE: Final[Mapping[str, Meaning]] = {
    "InvalidAccessKeyId": UNKNOWN_KEY,
    "SignatureDoesNotMatch": WRONG_SECRET,
    "AuthFailure": WRONG_SECRET,
    "Unauthorized": UNKNOWN_KEY,
    "InvalidSecurity": UNKNOWN_KEY,
    "ExpiredToken": TEMPORARY,
    "InvalidToken": TEMPORARY,
    "TokenRefreshRequired": TEMPORARY,
    "AccessDenied": DENIED,
    "AccessForbidden": DENIED,
    "InvalidObjectState": DENIED,
    "AllAccessDisabled": ACCOUNT,
    "AccountProblem": ACCOUNT,
    "NotSignedUp": ACCOUNT,
    "UserSuspended": ACCOUNT,
    "NoSuchBucket": NO_BUCKET,
    "InvalidBucketName": NO_BUCKET,
    "NoSuchTenant": NO_BUCKET,
    "AuthorizationHeaderMalformed": REGION_WRONG,
    "IllegalLocationConstraintException": REGION_WRONG,
    "IncorrectEndpoint": REGION_WRONG,
    "PermanentRedirect": REGION_WRONG,
    "Redirect": REGION_WRONG,
    "TemporaryRedirect": REGION_WRONG,
    "RequestTimeTooSkewed": SKEW,
    "RequestExpired": SKEW,
    "Busy": BUSY,
    "OperationAborted": BUSY,
    "RequestLimitExceeded": BUSY,
    "SlowDown": BUSY,
    "Throttling": BUSY,
    "ThrottlingException": BUSY,
    "TooManyRequests": BUSY,
    "QuotaExceeded": FULL,
    "InsufficientStorage": FULL,
    "XMinioStorageFull": FULL,
    "BadDigest": FAULT,
    "InternalError": FAULT,
    "RequestTimeout": LATE,
    "ServiceUnavailable": BUSY,
    "KMSAccessDeniedException": _ENCRYPTION,
    "KMSDisabledException": _ENCRYPTION,
    "KMSKMSInvalidStateException": _ENCRYPTION,
    "KMSNotFoundException": _ENCRYPTION,
    "MethodNotAllowed": NO_UPLOADS,
}
"""By the vendor's code; the dots in `KMS.…` codes are left out."""


def named_region(answer: Answer) -> str | None:
    """Return the region that a refusal names as the right one."""
    found = answer.headers.get("x-amz-bucket-region") or element(answer, "Region")
    return found if _REGION.fullmatch(found) else None


S3: Final = Dialect(by_code=BY_CODE, request_id_header="x-amz-request-id", region=named_region)
